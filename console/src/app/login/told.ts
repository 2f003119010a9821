import { Problem } from "../../api/problem";
import { classes } from "../../parts/classes";
import style from "../../parts/notice/Notice.module.css";
import shape from "../../parts/state/State.module.css";
import { SHAPES } from "../../parts/state/shapes";
import type { DoorWords } from "../../words/door";
import type { Language } from "../../words/language";
import { sentence } from "../../words/sentence";
import { drawing, element } from "./element";

/** As `Notice` draws it, for those who are not inside yet. */
export function notice(
  is: "attention" | "failed",
  title: (Node | string)[],
  more: string | undefined,
): HTMLElement {
  const drawn = SHAPES[is].map(([name, how]) => drawing(name, how));
  const name = classes(shape.shape, shape[is]);
  return element(
    "div",
    { class: classes(style.notice, style[is]), role: "alert" },
    drawing("svg", { class: name, viewBox: "0 0 12 12", "aria-hidden": "true" }, ...drawn),
    element(
      "div",
      { class: style.words },
      element("p", { class: style.title }, ...title),
      more !== undefined && element("div", { class: style.more }, more),
    ),
  );
}

/** Why one does not come in, as `ProblemNotice` says it: in English with its code's words before. */
export function refusal(error: unknown, words: DoorWords, language: Language): HTMLElement {
  const { problems } = words;
  if (!(error instanceof Problem)) {
    return notice("failed", [sentence(problems.unexpected)], String(error));
  }
  const { code, message, cure, isPassing } = error;
  const said = sentence(problems.codes[code]);
  const more = cure ? sentence(cure) : isPassing ? problems.passing : undefined;
  if (code === "offline") return notice("failed", [said], more);
  if (language === "en") return notice("failed", [sentence(message)], more);
  const foreign = element("span", { lang: "en" }, sentence(message));
  return notice("failed", [`${said} `, foreign], more);
}
