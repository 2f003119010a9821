import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, ask } from "../api/client";
import { Button } from "../parts/button/Button";
import { LANGUAGES, type Language, useLanguage, useWords } from "../words";
import style from "./Account.module.css";
import { inside } from "./inside";
import { CONTRASTS, type Contrast, THEMES, type Theme } from "./look";
import { useWho } from "./session";
import { useLook } from "./useLook";

/** Who one is, how one wants to see it, and the way out. */
export function Account() {
  const { shell, roles } = useWords();
  const who = useWho();
  const client = useQueryClient();
  const leave = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/logout")),
    onSettled: () => {
      inside.forget();
      client.clear();
      location.assign("/");
    },
  });
  return (
    <details className={style.account}>
      <summary>
        <span className={style.name}>{who.name}</span>
        <span className={style.role}>
          {roles[who.role]} · {who.tenant_name}
        </span>
      </summary>
      <div className={style.body}>
        <Choices />
        <Button onClick={() => leave.mutate()} isBusy={leave.isPending}>
          {shell.logOut}
        </Button>
      </div>
    </details>
  );
}

function Choices() {
  const { shell } = useWords();
  const { language, choose } = useLanguage();
  const look = useLook();
  return (
    <>
      <label className={style.choice}>
        {shell.language}
        <select value={language} onChange={(event) => choose(event.target.value as Language)}>
          {Object.entries(LANGUAGES).map(([code, name]) => (
            <option key={code} value={code} lang={code}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label className={style.choice}>
        {shell.theme}
        <select value={look.theme} onChange={(event) => look.setTheme(event.target.value as Theme)}>
          {THEMES.map((theme) => (
            <option key={theme} value={theme}>
              {shell.themes[theme]}
            </option>
          ))}
        </select>
      </label>
      <label className={style.choice}>
        {shell.contrast}
        <select
          value={look.contrast}
          onChange={(event) => look.setContrast(event.target.value as Contrast)}
        >
          {CONTRASTS.map((contrast) => (
            <option key={contrast} value={contrast}>
              {shell.contrasts[contrast]}
            </option>
          ))}
        </select>
      </label>
    </>
  );
}
