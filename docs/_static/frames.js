// An explorer in a page: its controls choose a picture. In the book all pictures lie there; a live one is drawn when asked for.
document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".frames").forEach(animate));

function animate(box) {
  const axes = JSON.parse(box.dataset.axes);  // [[name, [values]], ...]
  const controls = [...box.querySelectorAll("input, select")];
  const buttons = box.querySelectorAll("button");  // one that continues with the present settings, one that starts again
  const image = box.querySelector("img"), message = box.querySelector("[role=status]");
  const live = "live" in box.dataset;
  const presses = [];  // of the first button: the places of all controls, at each press
  let waiting = live && !image.complete;

  const places = () => controls.map((control) => Number(control.value));
  const address = (at) => `${box.dataset.folder}/${at}.png`;
  const wanted = () => address(buttons.length ? presses.join("_") || "start" : places().join("-"));

  const ask = () => {
    if (live && waiting) return;  // one picture at a time; the newest comes next
    if (wanted() === image.getAttribute("src")) return;
    waiting = true;
    image.src = wanted();
  };
  const tell = () => {
    const chosen = places().map((place, k) => axes[k][1][place]);
    controls.forEach((control, k) => {
      const output = control.parentElement.querySelector("output");
      if (output) control.setAttribute("aria-valuetext", output.textContent = chosen[k]);
    });
    image.alt = "Picture of the explorer at " + chosen.map((value, k) => `${axes[k][0]} = ${value}`).join(", ");
    if (buttons.length) image.alt += `; the button was pressed ${presses.length} times`;
  };
  const prepare = () => places().forEach((place, k) => [place - 1, place + 1].forEach((next) => {
    const near = places().map((old, j) => (j === k ? next : old)).join("-");
    if (axes[k][1][next] !== undefined) new Image().src = address(near);  // there when it is wanted
  }));
  const change = () => {
    tell();
    ask();
    if (!live) prepare();
  };

  image.addEventListener("load", () => {
    message.textContent = "";
    waiting = false;
    ask();
  });
  image.addEventListener("error", async () => {
    const failed = image.getAttribute("src");
    const reason = (answer) => answer.text(), none = () => "The server does not answer.";
    message.textContent = live ? await fetch(failed).then(reason, none) : "This picture is missing.";
    waiting = false;
    if (failed !== wanted()) ask();
  });
  controls.forEach((control) => control.addEventListener("input", buttons.length ? tell : change));
  if (!live) controls.forEach((control) => control.addEventListener("focus", prepare));
  buttons.forEach((button, k) => button.addEventListener("click", () => {
    if (k) presses.length = 0; else presses.push(places().join("-"));
    change();
  }));
  tell();
  ask();  // a reloaded page keeps its controls
}
