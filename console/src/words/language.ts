export type Language = "en" | "de";
export const LANGUAGES: Record<Language, string> = { en: "English", de: "Deutsch" };

const KEY = "tintype.language";

/** As whoever looks has chosen, otherwise as his browser says. */
export function wantedLanguage(): Language {
  const chosen = localStorage.getItem(KEY) ?? navigator.language.slice(0, 2);
  return chosen === "de" ? "de" : "en";
}

export const keepLanguage = (language: Language) => localStorage.setItem(KEY, language);
