// An explorer in a page: its controls choose a picture. In the book all pictures lie there; a live one is drawn when asked for.
document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".frames").forEach(animate));

function animate(box) {
  const axes = JSON.parse(box.dataset.axes);  // [[name, [values]], ...]
  const controls = [...box.querySelectorAll("input, select")];
  const image = box.querySelector("img");
  const message = box.querySelector("[role=status]");
  const live = "live" in box.dataset;
  const presses = [];  // of the first button: the places of all controls, at each press
  let asked = null, shown = image.getAttribute("src");
  const places = () => controls.map((control) => Number(control.value));
  const address = (at) => `${box.dataset.folder}/${at}.png`;

  const wanted = () => {
    if (!box.querySelector("button")) return address(places().join("-"));
    return address(presses.length ? presses.join("_") : "start");
  };
  const ask = () => {
    if (asked && live) return;  // one picture at a time; the newest comes next
    asked = wanted();
    if (asked === shown) asked = null; else image.src = asked;
  };
  const tell = () => {
    const chosen = places().map((place, k) => axes[k][1][place]);
    controls.forEach((control, k) => {
      const output = control.parentElement.querySelector("output");
      if (output) control.setAttribute("aria-valuetext", output.textContent = chosen[k]);
    });
    image.alt = "Picture of the explorer at " + chosen.map((value, k) => `${axes[k][0]} = ${value}`).join(", ");
    if (box.querySelector("button")) image.alt += `, pressed ${presses.length} times`;
  };
  const change = () => { tell(); ask(); if (!live) prepare(); };
  const prepare = () => {  // the pictures one step away, so that they are there when they are wanted
    places().forEach((place, k) => [place - 1, place + 1].forEach((next) => {
      if (axes[k][1][next] === undefined) return;
      new Image().src = address(places().with(k, next).join("-"));
    }));
  };

  image.addEventListener("load", () => {
    const last = asked;
    shown = image.getAttribute("src");
    message.textContent = "";
    asked = null;
    if (last && last !== wanted()) ask();
  });
  image.addEventListener("error", async () => {
    const failed = shown = image.getAttribute("src");
    message.textContent = live ? await fetch(failed).then((answer) => answer.text(), () => "The server does not answer.")
      : "This picture is missing.";
    asked = null;
    if (failed !== wanted()) ask();
  });
  controls.forEach((control) => control.addEventListener("input", box.querySelector("button") ? tell : change));
  controls.forEach((control) => !live && control.addEventListener("focus", prepare));
  box.querySelectorAll("button").forEach((button, k) => button.addEventListener("click", () => {
    if (k) presses.length = 0; else presses.push(places().join("-"));
    change();
  }));
  if (image.complete || !live) change();  // a reloaded page keeps its controls
  else asked = shown;
}
