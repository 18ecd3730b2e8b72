/**
 * <talent-avatar talent-id="…" size="64" name="…" refreshable>: a talent's current picture, always.
 *
 * It shows the service's stable address in a circle whose place is reserved from the start, and draws the initials
 * itself, in the service's colors, where the service cannot be reached.
 *
 * Attributes:
 *   talent-id    the talent's id in the app
 *   size         width and height in CSS pixels; 64 without it
 *   name         for screen readers and for initials
 *   initials     one or two letters, where the app knows better than the name's first letters
 *   base         where the service is; without it, where this file came from
 *   refreshable  offers "Refresh Photo"
 *   refresh-url  what the button posts to: an address of the app's own backend, which adds the API token; without it,
 *                the service's own address, for pages that have a session there
 *   csrf-token   sent as X-CSRF-Token with the button's request
 *
 * Events (bubbling, composed): "talent-avatar-refreshed" with detail {talentId, source, message, data}, and
 * "talent-avatar-failed" with detail {talentId, message}.
 */

const SIZES = [64, 128, 256, 512];
const TOAST_SECONDS = 8;

// The service's own palette: background and letter color around the color wheel.
export const PALETTE = "{{PALETTE}}".split(",").map((pair) => pair.split("/"));

const STYLES = `
:host { display: inline-grid; justify-items: center; gap: .5rem; vertical-align: middle; }
:host([hidden]) { display: none; }
.frame { display: block; border-radius: 50%; overflow: hidden; background: color-mix(in srgb, currentColor 12%, transparent); }
.frame > * { display: block; width: 100%; height: 100%; object-fit: cover; }
button { font: inherit; font-size: .875rem; line-height: 1.2; display: inline-grid; padding: .45em .9em; cursor: pointer;
  color: inherit; background: transparent; border: 1px solid color-mix(in srgb, currentColor 45%, transparent); border-radius: .5em; }
button > span { grid-area: 1 / 1; visibility: hidden; display: inline-flex; gap: .5em; align-items: center; justify-content: center; }
button[aria-busy=false] > .idle, button[aria-busy=true] > .busy { visibility: visible; }
button:hover { background: color-mix(in srgb, currentColor 8%, transparent); }
button[aria-disabled=true] { cursor: progress; opacity: .75; }
button:focus-visible { outline: 3px solid Highlight; outline-offset: 2px; }
.spinner { width: 1em; height: 1em; border-radius: 50%; border: 2px solid currentColor; border-inline-end-color: transparent;
  box-sizing: border-box; animation: turn .8s linear infinite; }
@keyframes turn { to { transform: rotate(1turn); } }
@media (prefers-reduced-motion: reduce) { .spinner { animation-duration: 3s; } }
`;

const TOAST_STYLES = `
:host { position: fixed; inset: auto 0 1rem 0; z-index: 2147483647; display: grid; justify-items: center; gap: .5rem;
  pointer-events: none; padding: 0 1rem; }
p { margin: 0; max-width: 40rem; padding: .75rem 1rem; border-radius: .6rem; font: 1rem/1.4 system-ui, sans-serif;
  color: #fff; background: #14532d; box-shadow: 0 .4rem 1.5rem #0006; pointer-events: auto; overflow-wrap: anywhere; }
p.failed { background: #7f1d1d; }
`;

/** Return the colors of a talent's initials as [background, letters]: they depend on the id alone. */
export function colorsOf(talentId) {
  const [high, low] = sha256(new TextEncoder().encode(talentId));
  return PALETTE[Number(((BigInt(high) << 32n) | BigInt(low)) % BigInt(PALETTE.length))];
}

/** Return one or two letters for a name; empty where it has none. */
export function initialsOf(name) {
  const words = name.trim().split(/\s+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  if (!words.length) return "";
  const first = (word) => word.match(/[\p{L}\p{N}]\p{M}*/u)[0].toUpperCase();
  const takesTwo = words.length > 1 && /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}]/u.test(words[0]);
  return takesTwo ? first(words[0]) + first(words[words.length - 1]) : first(words[0]);
}

class TalentAvatar extends HTMLElement {
  static observedAttributes = ["talent-id", "size", "name", "initials", "base", "refreshable"];

  #root = this.attachShadow({ mode: "open" });
  #version = "";
  #isBusy = false;

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [sheetOf(STYLES)];
  }

  connectedCallback() {
    this.#render();
  }

  attributeChangedCallback(name, before, after) {
    if (this.isConnected && before !== after) this.#render();
  }

  /** Ask for the newest picture; resolves when it is shown or the failure is said. */
  async refresh() {
    if (this.#isBusy) return;
    this.#setBusy(true);
    try {
      const answer = await fetch(this.#refreshUrl(), {
        method: "POST",
        credentials: "same-origin",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": this.getAttribute("csrf-token") ?? "" },
        body: JSON.stringify({ forceRefresh: true }),
      });
      const body = await answer.json().catch(() => null);
      if (!answer.ok || !body?.success) throw new Error(body?.error?.message ?? `The service answered ${answer.status}.`);
      this.#succeeded(body);
    } catch (error) {
      const isNetwork = error instanceof TypeError;
      this.#failed(isNetwork ? "The service cannot be reached. Check the connection and try again." : error.message);
    } finally {
      this.#setBusy(false);
    }
  }

  #succeeded(body) {
    const source = body.data.source;
    const message = source === "initials" ? "No account has a picture; the initials are shown" : `Profile photo updated from ${source}`;
    this.#version = String(Date.now());
    this.#showPicture();
    showToast(message, false);
    this.#announce("talent-avatar-refreshed", { source, message, data: body.data });
  }

  #failed(message) {
    showToast(`Profile photo not updated. ${message}`, true);
    this.#announce("talent-avatar-failed", { message });
  }

  #announce(type, detail) {
    this.dispatchEvent(
      new CustomEvent(type, { bubbles: true, composed: true, detail: { talentId: this.#talentId, ...detail } }),
    );
  }

  #render() {
    const frame = document.createElement("span");
    frame.className = "frame";
    frame.part = "frame";
    frame.style.width = frame.style.height = `${this.#size}px`;
    this.#root.replaceChildren(frame);
    this.#showPicture();
    if (this.hasAttribute("refreshable")) this.#root.append(this.#button());
  }

  #showPicture() {
    const frame = this.#root.querySelector(".frame");
    if (!this.#talentId) return frame.replaceChildren(this.#drawnInitials());
    const image = new Image(this.#size, this.#size);
    image.alt = this.#name;
    image.loading = "lazy";
    image.decoding = "async";
    image.sizes = `${this.#size}px`;
    image.addEventListener("error", () => frame.replaceChildren(this.#drawnInitials()), { once: true });
    image.srcset = SIZES.map((size) => `${this.#avatarUrl(size)} ${size}w`).join(", ");
    image.src = this.#avatarUrl(SIZES.find((size) => size >= this.#size) ?? SIZES.at(-1));
    frame.replaceChildren(image);
  }

  #drawnInitials() {
    const [background, color] = colorsOf(this.#talentId);
    const drawing = svg("svg", { viewBox: "0 0 100 100", role: "img", "aria-label": this.#name || "No name" });
    drawing.append(svg("rect", { width: 100, height: 100, fill: background }));
    const letters = this.getAttribute("initials") ?? initialsOf(this.#name);
    const text = svg("text", {
      x: 50, y: 50, fill: color, "text-anchor": "middle", "dominant-baseline": "central",
      "font-family": "system-ui, sans-serif", "font-weight": 600, "font-size": letters.length > 1 ? 38 : 44,
    });
    text.textContent = letters;
    drawing.append(text);
    return drawing;
  }

  #button() {
    const button = document.createElement("button");
    button.type = "button";
    button.part = "button";
    button.append(labelled("idle", "Refresh Photo"), labelled("busy", "Refreshing…", "spinner"));
    button.addEventListener("click", () => this.refresh());
    this.#describe(button);
    return button;
  }

  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    const button = this.#root.querySelector("button");
    if (button) this.#describe(button);
  }

  // Disabled for assistive technology and the pointer, but not through "disabled", which would lose the focus.
  #describe(button) {
    button.setAttribute("aria-busy", String(this.#isBusy));
    button.setAttribute("aria-disabled", String(this.#isBusy));
    const what = this.#isBusy ? "Refreshing… photo" : "Refresh Photo";
    button.setAttribute("aria-label", this.#name ? `${what} of ${this.#name}` : what);
  }

  get #talentId() {
    return this.getAttribute("talent-id") ?? "";
  }

  get #name() {
    return this.getAttribute("name") ?? "";
  }

  get #size() {
    const size = Number.parseInt(this.getAttribute("size") ?? "64", 10);
    return size > 0 ? size : 64;
  }

  get #base() {
    return (this.getAttribute("base") ?? new URL("..", import.meta.url).href).replace(/\/$/, "");
  }

  #avatarUrl(size) {
    const version = this.#version && `&v=${this.#version}`;
    return `${this.#base}/avatars/${encodeURIComponent(this.#talentId)}?size=${size}${version}`;
  }

  #refreshUrl() {
    const own = `${this.#base}/api/admin/talent/${encodeURIComponent(this.#talentId)}/profile-image/sync`;
    return this.getAttribute("refresh-url") ?? own;
  }
}

function labelled(className, text, mark) {
  const label = document.createElement("span");
  label.className = className;
  label.ariaHidden = "true";
  if (mark) label.append(Object.assign(document.createElement("span"), { className: mark }));
  label.append(text);
  return label;
}

function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// Constructed sheets work under a content security policy without inline styles.
function sheetOf(styles) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  return sheet;
}

let toasts;

function showToast(message, hasFailed) {
  if (!toasts?.isConnected) {
    const host = document.createElement("div");
    toasts = host;
    const root = host.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheetOf(TOAST_STYLES)];
    // Live regions are announced only if they were there before their text.
    for (const role of ["status", "alert"]) root.append(Object.assign(document.createElement("div"), { role }));
    document.body.append(host);
  }
  const toast = document.createElement("p");
  toast.className = hasFailed ? "failed" : "done";
  toast.textContent = message;
  toasts.shadowRoot.querySelector(hasFailed ? "[role=alert]" : "[role=status]").append(toast);
  setTimeout(() => toast.remove(), TOAST_SECONDS * 1000);
}

/** Return the first two 32-bit words of SHA-256 (FIPS 180-4); crypto.subtle is missing on plain http. */
function sha256(bytes) {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  const fraction = (root) => Math.floor((root - Math.floor(root)) * 2 ** 32) >>> 0;
  const state = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
  const constants = primes.map((prime) => fraction(Math.cbrt(prime)));
  const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 4, bytes.length * 8);
  const turn = (word, by) => (word >>> by) | (word << (32 - by));
  for (let start = 0; start < padded.length; start += 64) {
    const words = Array.from({ length: 64 }, (_, i) => (i < 16 ? view.getUint32(start + i * 4) : 0));
    for (let i = 16; i < 64; i++) {
      const [a, b] = [words[i - 15], words[i - 2]];
      const small = turn(a, 7) ^ turn(a, 18) ^ (a >>> 3);
      const large = turn(b, 17) ^ turn(b, 19) ^ (b >>> 10);
      words[i] = (words[i - 16] + small + words[i - 7] + large) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const choice = (e & f) ^ (~e & g);
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + choice + constants[i] + words[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] = (state[i] + word) | 0));
  }
  return [state[0] >>> 0, state[1] >>> 0];
}

customElements.define("talent-avatar", TalentAvatar);
