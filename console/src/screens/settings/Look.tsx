import { CONTRASTS, type Contrast, THEMES, type Theme } from "../../app/look";
import { useLook } from "../../app/useLook";
import { Fields } from "../../parts/field/Form";
import { SelectField } from "../../parts/field/inputs";
import { LANGUAGES, type Language, useLanguage, useWords } from "../../words";

/** Language and look: kept in this browser. */
export function Look() {
  const { shell } = useWords();
  const { language, choose } = useLanguage();
  const look = useLook();
  return (
    <Fields>
      <SelectField
        label={shell.language}
        value={language}
        onChange={(value) => choose(value as Language)}
      >
        {Object.entries(LANGUAGES).map(([code, name]) => (
          <option key={code} value={code} lang={code}>
            {name}
          </option>
        ))}
      </SelectField>
      <SelectField
        label={shell.theme}
        value={look.theme}
        onChange={(value) => look.setTheme(value as Theme)}
      >
        {THEMES.map((theme) => (
          <option key={theme} value={theme}>
            {shell.themes[theme]}
          </option>
        ))}
      </SelectField>
      <SelectField
        label={shell.contrast}
        value={look.contrast}
        onChange={(value) => look.setContrast(value as Contrast)}
      >
        {CONTRASTS.map((contrast) => (
          <option key={contrast} value={contrast}>
            {shell.contrasts[contrast]}
          </option>
        ))}
      </SelectField>
    </Fields>
  );
}
