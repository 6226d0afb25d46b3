"""Made from the notebooks: the book, the slides, the student copy and the page of explorers.
`run.py` starts them."""
