// Paper is white, whatever the colours on the screen.
const paper = matchMedia("print");
const root = document.documentElement;
paper.addEventListener("change", () => {
  if (paper.matches) root.dataset.screen = root.dataset.theme;
  root.dataset.theme = paper.matches ? "light" : root.dataset.screen;
});
