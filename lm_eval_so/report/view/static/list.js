// Keeps the list as it is on disk, and filters it. Without it the list works, but for the filter.
"use strict";

const PAUSE = 2000; // milliseconds between two looks while something runs
const IDLE = 10000; // and while nothing does
const filter = document.getElementById("filter");

function listing() {
  return document.getElementById("listing");
}

function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of listing().querySelectorAll("tbody tr")) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
}

async function look() {
  const answer = await fetch("/");
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("listing");
  const old = listing();
  if (!fresh || fresh.textContent === old.textContent) return;
  const picked = new Set(Array.from(old.querySelectorAll("input:checked"), (box) => box.value));
  for (const box of fresh.querySelectorAll("input")) box.checked = picked.has(box.value);
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const again = focused && (focused.value || focused.getAttribute("href"));
  old.replaceWith(document.adoptNode(fresh));
  applyFilter();
  if (!again) return;
  for (const one of fresh.querySelectorAll("input, a, button")) {
    if ((one.value || one.getAttribute("href")) === again) one.focus({ preventScroll: true });
  }
}

async function follow() {
  const selected = !(getSelection()?.isCollapsed ?? true);
  if (!document.hidden && !selected) await look().catch(() => {}); // the server may come back
  setTimeout(follow, listing().dataset.running === "yes" ? PAUSE : IDLE);
}

filter.hidden = false;
filter.addEventListener("input", applyFilter);
document.addEventListener("visibilitychange", () => document.hidden || look().catch(() => {}));
setTimeout(follow, PAUSE);
