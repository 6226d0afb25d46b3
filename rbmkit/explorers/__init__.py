"""Interactive explorers of the notebooks: one module per notebook, built from the figures that stand beside them."""
