"use strict";
// The server draws; here only what differs is put in its place, so that nothing flickers.
const live = document.getElementById("live");
function alter(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName)
    return old.replaceWith(fresh);
  if (old.nodeType !== 1) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name, value } of fresh.attributes)
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes])
    if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  const before = [...old.childNodes], after = [...fresh.childNodes];
  after.forEach((node, at) => at < before.length ? alter(before[at], node) : old.append(node));
  before.slice(after.length).forEach((node) => node.remove());
}
let seen = new Date();
async function look() {
  try {
    if (document.hidden) return;
    const answer = await fetch("/live", { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw answer.status;
    const page = new DOMParser().parseFromString("<main>" + await answer.text(), "text/html");
    const fresh = page.querySelector("main");
    fresh.id = "live";
    alter(live, fresh);
    seen = new Date();
    document.body.classList.remove("stale");
  } catch {
    document.body.dataset.stale = "No answer since " + seen.toLocaleTimeString();
    document.body.classList.add("stale");
  } finally {
    setTimeout(look, 2000);
  }
}
setTimeout(look, 2000);
document.querySelector("#command form")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { token, line } = event.target.elements, out = document.querySelector("#command pre");
  out.textContent = "";
  try {
    const headers = { Authorization: "Bearer " + token.value };
    const answer = await fetch("/run", { method: "POST", headers, body: line.value });
    const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part; !(part = await text.read()).done;) out.textContent += part.value;
  } catch (error) {
    out.textContent += error;
  }
});
