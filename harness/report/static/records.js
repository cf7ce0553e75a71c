/* Lays out the JSON of the record that was linked to, or that is clicked: a page holds many, and most are never read. */
"use strict";

function layOut(article) {
  const text = article && article.querySelector("pre");
  if (!text || text.dataset.laidOut) return;
  text.dataset.laidOut = "yes";
  try {
    text.textContent = JSON.stringify(JSON.parse(text.textContent), null, 1);
  } catch {
    /* It stays as it is: complete, in one line. */
  }
}

function linked() {
  const article = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  layOut(article);
  if (article) article.scrollIntoView();
}

document.addEventListener("click", (event) => layOut(event.target.closest("article.record")));
window.addEventListener("hashchange", linked);
linked();
