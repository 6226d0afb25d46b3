// Explorers without a kernel: sliders choose one of the pictures that were drawn when the book was made.
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll(".frames")) {
    const axes = JSON.parse(box.dataset.axes);  // [[name, [values]], ...]
    const sliders = [...box.querySelectorAll("input")];
    const image = box.querySelector("img");
    const show = () => {
      const chosen = sliders.map((slider, k) => axes[k][1][slider.value]);
      sliders.forEach((slider, k) => {
        slider.setAttribute("aria-valuetext", chosen[k]);
        slider.nextElementSibling.textContent = chosen[k];
      });
      image.src = box.dataset.folder + "/" + sliders.map((slider) => slider.value).join("-") + ".png";
      image.alt = "Picture of the explorer at " + chosen.map((value, k) => axes[k][0] + " = " + value).join(", ");
    };
    sliders.forEach((slider) => slider.addEventListener("input", show));
    show();  // a reloaded page keeps its sliders
  }
});

// Paper is white, whatever the colours on the screen.
const paper = matchMedia("print");
const root = document.documentElement;
paper.addEventListener("change", () => {
  if (paper.matches) root.dataset.screen = root.dataset.theme;
  root.dataset.theme = paper.matches ? "light" : root.dataset.screen;
});
