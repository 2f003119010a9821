import { api, ask } from "../../api/client";
import { csrf } from "../../api/csrf";
import button from "../../parts/button/Button.module.css";
import { classes } from "../../parts/classes";
import field from "../../parts/field/Field.module.css";
import form from "../../parts/field/Form.module.css";
import type { DoorWords } from "../../words/door";
import type { Language } from "../../words/language";
import style from "./Door.module.css";
import { element, put } from "./element";
import { notice, refusal } from "./told";

export interface Given {
  words: DoorWords;
  language: Language;
  /** Whoever stands there was inside until now. */
  hasEnded?: boolean;
  /** He writes: he will soon be inside. */
  onBegun?: () => unknown;
  onDone: () => unknown;
}

/** Asks who it is. It is the first thing that anybody loads, and needs nothing of what is inside. */
export function openDoor(place: HTMLElement, given: Given): void {
  const { words, language, hasEnded, onBegun, onDone } = given;
  const { login } = words;
  const user = textOf("user", { autocomplete: "username", required: true });
  const password = textOf("password", {
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const tenant = textOf("tenant", { autocomplete: "off", "aria-describedby": "tenant-help" });
  const said = element("div", {});
  const submit = element(
    "button",
    { type: "submit", class: classes(button.button, button.primary) },
    login.submit,
  );
  const asked = element(
    "form",
    { class: form.form, novalidate: true },
    fieldOf(login.user, user),
    fieldOf(login.password, password),
    fieldOf(login.tenant, tenant, login.tenantHelp),
    said,
    element("div", { class: form.actions }, submit),
  );
  const answer = async () => {
    if (submit.ariaBusy === "true") return;
    put(submit, { "aria-busy": "true", "aria-disabled": "true" });
    said.replaceChildren();
    const body = { user: user.value, password: password.value, tenant: tenant.value || null };
    try {
      const session = await ask(api.POST("/api/v1/login", { body: { ...body, cookie: true } }));
      csrf.set(session.csrf_token ?? "");
      await onDone();
    } catch (refused) {
      said.replaceChildren(refusal(refused, words, language));
    }
    put(submit, { "aria-busy": undefined, "aria-disabled": undefined });
  };
  asked.addEventListener("submit", (event) => {
    event.preventDefault();
    answer();
  });
  if (onBegun) asked.addEventListener("input", () => onBegun(), { once: true });
  place.replaceChildren(
    element(
      "main",
      { class: style.door },
      element(
        "div",
        { class: style.box },
        element(
          "p",
          { class: style.brand },
          element("img", { src: "/icon.svg", alt: "", width: "26", height: "26" }),
          " Tintype",
        ),
        element("h1", {}, login.title),
        hasEnded && notice("attention", [login.ended], login.endedWords),
        asked,
      ),
    ),
  );
  document.title = `${login.title} · Tintype`;
  document.documentElement.lang = language;
  user.focus();
}

const textOf = (id: string, how: Record<string, string | boolean>) =>
  element("input", { id, class: field.input, spellcheck: "false", ...how });

function fieldOf(label: string, input: HTMLInputElement, help?: string): HTMLElement {
  return element(
    "div",
    { class: field.field },
    element("label", { for: input.id }, label),
    input,
    help !== undefined && element("p", { id: `${input.id}-help`, class: field.help }, help),
  );
}
