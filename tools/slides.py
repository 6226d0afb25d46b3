"""Slides from the notebooks: one reveal.js deck each, with everything it needs, in build/slides.

python -m tools.slides [NAME ...]

A section becomes slides: its numbered equations, each with the sentence that leads to it; its
figures, each with the first sentence of "what to notice"; corrections; the summary; the quiz, whose
answers appear with a further key press. Everything else that the notebook says there is in the
speaker notes (key S). Other keys: O for an overview, F for the full screen, ? for help. Add
?print-pdf to the address to print.
"""

from __future__ import annotations

import argparse
import base64
import html
import importlib.util
import re
import shutil
import sys
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tools import series
from tools.book import INSIDE, copy_mathjax, correction_texts, pictures, prose, sections

SLIDES = series.ROOT / "build" / "slides"
NUMBERED = re.compile(
    rf"\$\$({INSIDE}\\tag\*?\{{[^}}]*\}}{INSIDE})\$\$[ \t]*[,.;]?",
    re.DOTALL,
)
NOTICE = re.compile(r"\*\*What to notice\.\*\*\s*(.+)", re.DOTALL)
QUESTION = re.compile(r"(\*\*Q\d+\.\*\*.+?)<details>.*?</summary>(.+?)</details>", re.DOTALL)
SHORT = 20  # characters: a lead like "So" says nothing by itself
LEFT_OUT = ("References", "Next", "Exercises")

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="reveal/dist/reset.css">
<link rel="stylesheet" href="reveal/dist/reveal.css">
<link rel="stylesheet" href="slides.css">
<script>
MathJax = {{options: {{enableMenu: false}}, chtml: {{displayOverflow: "linebreak"}}}};
</script>
<script src="mathjax/tex-chtml.js"></script>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="reveal/dist/reveal.js"></script>
<script src="reveal/plugin/notes/notes.js"></script>
<script>
// what is wider or taller than the slide gets smaller
const size = (part) => parseFloat(getComputedStyle(part).fontSize);
const right = (box) => Math.max(
  ...[...box.querySelectorAll("mjx-math *")].map((part) => part.getBoundingClientRect().right));
const fit = ({{ currentSlide }}) => {{
  for (const box of currentSlide.querySelectorAll("mjx-container[display]"))
    for (let k = 0; k < 15 && right(box) > currentSlide.getBoundingClientRect().right + 2; k++)
      box.style.setProperty("font-size", 0.95 * size(box) + "px", "important");
  for (let k = 0; k < 15 && bottom(currentSlide) > 704; k++)
    currentSlide.style.fontSize = 0.96 * size(currentSlide) + "px";
}};
const bottom = (slide) => {{
  const shown = [...slide.children].filter((part) => part.tagName != "ASIDE");
  return Math.max(...shown.map((part) => part.offsetTop + part.offsetHeight));
}};
Reveal.on("ready", fit);
Reveal.on("slidechanged", fit);
MathJax.startup.promise.then(() => Reveal.initialize({{
  hash: true, slideNumber: "c/t", width: 1280, height: 720, margin: 0.04, center: false,
  transition: "none", plugins: [RevealNotes],
}}));
</script>
</body>
</html>
"""

CSS = """/* dark on light, large, one idea per slide */
.reveal {
  color: #111; font-size: 34px;
  font-family: "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif;
}
body { background: #fff; }
.reveal section { text-align: left; }
.reveal h1 { font-size: 2em; line-height: 1.15; margin: 0.9em 0 0.4em; }
.reveal h2 {
  border-bottom: 3px solid #0072b2; font-size: 1.25em; margin: 0 0 0.6em; padding-bottom: 0.15em;
}
.reveal p, .reveal li { line-height: 1.35; margin: 0.35em 0; }
.reveal ul, .reveal ol { margin-left: 1.2em; }
.reveal code { font-size: 0.85em; }
.reveal strong { color: #00507d; }
.reveal .lead { color: #333; }
.reveal mjx-container { font-size: 108% !important; }
.reveal img {
  display: block; height: 470px; margin: 0 auto; max-width: 100%; object-fit: contain; width: auto;
}
.reveal img.wide { height: auto; width: 100%; }
.reveal .notice { border-left: 6px solid #d55e00; margin-top: 0.6em; padding-left: 0.6em; }
.reveal .answer {
  border-left: 6px solid #009e73; font-size: 0.85em; margin-top: 0.6em; padding-left: 0.6em;
}
.reveal .source { color: #555; font-size: 0.6em; }
.reveal .small { font-size: 0.82em; }
"""

markdown = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, double_inline=True)


def render(text: str) -> str:
    """Markdown to HTML; mathematics stays TeX, for MathJax."""
    without_pictures = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", text)
    without_links = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", without_pictures)
    out = markdown.render(without_links)
    for kind, tex in (("inline", r"\\(\1\\)"), ("block", r"\\[\1\\]")):
        box = rf'<(?:span|div) class="math {kind}">(.*?)</(?:span|div)>'
        out = re.sub(box, tex, out, flags=re.DOTALL)
    return out


def line(text: str) -> str:
    """The same without the paragraph around it."""
    return render(text).strip().removeprefix("<p>").removesuffix("</p>")


def sentences(text: str) -> list[str]:
    """Sentences of a paragraph; a dot inside mathematics or after an abbreviation ends none."""
    no_end = r"\$[^$]*\$|\b(?:Eqs?|Fig|Sec|Ref|e\.g|i\.e|resp|cf)\."
    protected = re.sub(no_end, lambda m: m[0].replace(".", "\0"), text)
    parts = re.split(r"(?<=[.!?:])\s+(?=[A-Z*$(\\])", " ".join(protected.split()))
    return [part.replace("\0", ".").strip() for part in parts]


def slide(heading: str, body: str, notes: str = "", small: bool = False) -> str:
    aside = f'<aside class="notes">{render(notes)}</aside>' if notes.strip() else ""
    start = '<section class="small">' if small else "<section>"
    return f"{start}\n<h2>{line(heading)}</h2>\n{body}\n{aside}</section>"


def leads(text: str) -> list[tuple[str, str]]:
    """(end of the sentence that leads to it, equation) of each numbered equation."""
    found = []
    end = 0
    for match in NUMBERED.finditer(text):
        blocks = re.split(r"(\$\$.*?\$\$)", text[end : match.start()].strip(), flags=re.DOTALL)
        parts = sentences(blocks[-1].split("\n\n")[-1])
        # "So" needs what stands before
        lead = parts[-1] if len(parts[-1]) >= SHORT else " ".join(parts[-2:])
        # the sentence began before an equation without a number
        if len(blocks) > 2 and lead[:1].islower():
            lead = f"{sentences(blocks[-3].split(chr(10) * 2)[-1])[-1]}\n{blocks[-2]}\n{lead}"
        found.append((lead, match[1].strip()))
        end = match.end()
    return found


def equation_slides(heading: str, text: str) -> list[str]:
    """The numbered equations below their leads; as many on a slide as have room."""
    groups = []
    room = 0.0
    for lead, equation in leads(text):
        words = re.sub(r"\$.*?\$", "xxxxx", lead)
        need = 1 + lead.count("$$") / 2 + len(words) / 300 + equation.count("matrix") / 8
        # "with" stays below the equation before
        if need > room and not (groups and 0 < len(lead) < SHORT):
            groups = [*groups, ""]
            room = 3.7
        groups[-1] += f'<div class="lead">{render(lead)}</div>\n\\[{html.escape(equation)}\\]\n'
        room -= need
    return [slide(heading, group, text if k == 0 else "") for k, group in enumerate(groups)]


def corrections_alone(text: str) -> list[str]:
    """The corrections that do not stand in the lead of an equation, and so are on no slide yet."""
    shown = " ".join(" ".join(lead.split()) for lead, _ in leads(text)).lower()
    return [part for part in correction_texts(text) if part.lower() not in shown]


def takeaway(text: str) -> str:
    """The first sentence or two of what to notice."""
    notice = NOTICE.search(text)
    first = re.split(r"\n\s*[-*] ", re.sub(r"^[-*] ", "", notice[1].strip()))[0] if notice else ""
    parts = sentences(first)
    return parts[0] if len(parts[0]) > 60 else " ".join(parts[:2])


def figure_slide(heading: str, picture: bytes, alt: str, text: str) -> str:
    """One figure, and below it what to notice."""
    first = takeaway(text)
    below = f'<div class="notice">{render(first)}</div>' if first else ""
    width, height = (int.from_bytes(picture[k : k + 4], "big") for k in (16, 20))
    wide = ' class="wide"' if width / height > 2.4 else ""
    data = base64.b64encode(picture).decode()
    shown = f'<img{wide} src="data:image/png;base64,{data}" alt="{html.escape(alt)}">\n{below}'
    return slide(heading, shown, f"{alt}\n\n{text}")


def section_slides(heading: str, cells) -> list[str]:
    """The slides of one section, in the order of the notebook."""
    cells = [cell for cell in cells if "solution" not in series.tags(cell)]
    found = []
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown":
            text = re.sub(r"^#+ .*\n?", "", cell.source)
            found += equation_slides(heading, text)
            for part in corrections_alone(text):
                found.append(slide(heading, render("**Correction:** " + part)))
        for picture, alt in pictures(cell):
            after = (c.source for c in cells[i + 1 :] if c.cell_type == "markdown")
            found.append(figure_slide(heading, picture, alt, next(after, "")))
    if not found:
        text = prose(cells)
        first = re.sub(r"^#+ .*\n?", "", text).strip().split("\n\n")[0]
        found = [slide(heading, render(first), text)] if first else []
    return found


def deck(name: str) -> str:
    nb = series.read(name)
    row = r"^\| (You (?:will derive|will compute|need)) \| (.+?) \|$"
    goals = re.findall(row, nb.cells[0].source, re.MULTILINE)
    table = "".join(f"<p><strong>{key}:</strong> {line(value)}</p>" for key, value in goals)
    first = f"<h1>{series.title(nb)}</h1><p>{line(series.question(nb))}</p>"
    source = f'<p class="source">{series.ADDRESS}</p>' if series.ADDRESS else ""
    slides = [f"<section>{first}{source}</section>"]
    slides += [slide("In this notebook", table, small=True)] if goals else []
    for heading, k, cells in sections(nb):
        text = prose(cells)
        if heading == "Summary":  # the answers, then what else there is to say
            answers = "\n".join(re.findall(r"(?m)^\|.*$", text))
            rest = re.sub(r"(?m)^(?:#+ |\|).*\n?", "", text)
            parts = [part for part in (answers, rest) if part.strip()]
            slides += [slide(heading, render(part), small=True) for part in parts]
        elif heading == "Quiz":
            for question, answer in QUESTION.findall(text):
                hidden = f'<div class="fragment answer">{render(answer)}</div>'
                slides.append(slide(heading, render(question) + hidden))
        elif k and heading not in LEFT_OUT:
            slides += section_slides(heading, cells)
    return PAGE.format(title=html.escape(series.title(nb)), slides="\n".join(slides))


def main(options: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="run.py slides", description="Slides for lectures, into build/slides."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only notebooks whose name contains NAME"
    )
    names = parser.parse_args(options).names
    chosen = [name for name in series.names() if not names or any(part in name for part in names)]
    if not chosen:
        print("run.py: no notebook is called like " + ", ".join(names))
        return 1
    SLIDES.mkdir(parents=True, exist_ok=True)
    copy_mathjax(SLIDES / "mathjax")
    package = Path(importlib.util.find_spec("sphinx_revealjs").origin).parent
    reveal = package / "_static" / "revealjs"
    for part in ("dist", "plugin/notes"):
        shutil.copytree(reveal / part, SLIDES / "reveal" / part, dirs_exist_ok=True)
    (SLIDES / "slides.css").write_text(CSS, "utf-8")
    for name in chosen:
        (SLIDES / f"{name}.html").write_text(deck(name), "utf-8")
        print(f"open build/slides/{name}.html in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
