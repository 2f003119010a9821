import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { Button } from "../../parts/button/Button";
import { TextField } from "../../parts/field/inputs";
import { Filters } from "../../parts/filters/Filters";
import { useWords } from "../../words";
import style from "./Browse.module.css";
import { tree } from "./screen";

/** Looks for names, here and below. Each look goes through the whole tree, so it waits for Enter. */
export function SearchField() {
  const { browse: words } = useWords();
  const { q = "" } = tree.useSearch();
  const navigate = useNavigate({ from: tree.fullPath });
  const [typed, setTyped] = useState(q);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    navigate({ search: (now) => ({ ...now, q: typed.trim() || undefined }) });
  };
  return (
    <form onSubmit={submit} className={style.search}>
      <Filters>
        <TextField
          label={words.find}
          type="search"
          placeholder={words.findHelp}
          value={typed}
          onChange={setTyped}
        />
      </Filters>
      <Button type="submit">{words.search}</Button>
    </form>
  );
}
