/** What the pages do besides showing: pins, and saying on the page what a refresh came to. */

const csrfToken = document.querySelector("meta[name=csrf-token]")?.content ?? "";
const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const LABELS = { instagram: "Instagram", tiktok: "TikTok", youtube: "YouTube", initials: "Initials", manual: "Set by hand" };

document.addEventListener("talent-avatar-refreshed", ({ detail }) => {
  const card = document.querySelector(`[data-talent="${CSS.escape(detail.talentId)}"]`);
  card?.querySelectorAll("[data-source]").forEach((place) => (place.textContent = LABELS[detail.source] ?? detail.source));
  card?.querySelectorAll("[data-synced]").forEach((place) => (place.textContent = "just now"));
});

for (const form of document.querySelectorAll("form[data-pin], form[data-unpin]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    pin(form);
  });
}

async function pin(form) {
  const button = form.querySelector("button");
  button.setAttribute("aria-disabled", "true");
  const { talentId, versionId, accountId } = form.dataset;
  const wanted = versionId ? { versionId: Number(versionId) } : { accountId };
  try {
    const answer = await fetch(`${root}/api/admin/talent/${encodeURIComponent(talentId)}/pin`, {
      method: "unpin" in form.dataset ? "DELETE" : "PUT",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrfToken },
      body: "unpin" in form.dataset ? undefined : JSON.stringify(wanted),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error.message);
    location.reload();
  } catch (error) {
    button.removeAttribute("aria-disabled");
    say(form, error instanceof TypeError ? "The service cannot be reached. Try again." : error.message);
  }
}

function say(form, message) {
  form.querySelector("[role=alert]")?.remove();
  const note = Object.assign(document.createElement("p"), { role: "alert", className: "failure" });
  note.textContent = message;
  form.append(note);
}
