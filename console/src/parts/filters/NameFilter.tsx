import { useNavigate, useSearch } from "@tanstack/react-router";
import { text } from "../../app/search";
import { useWords } from "../../words";
import { TextField } from "../field/inputs";
import { useSettled } from "../field/settled";
import { Filters } from "./Filters";

/** What a list is narrowed to, as it stands in the address. */
export interface Called {
  q?: string;
}

export const calledOf = (search: Record<string, unknown>): Called => ({ q: text(search.q) });

/** What the server is asked for: not each letter is a question. */
export const useCalled = (): string | undefined =>
  useSettled((useSearch({ strict: false }) as Called).q);

/** What is typed stands in the address. */
export function CalledField({ label }: { label: string }) {
  const { q }: Called = useSearch({ strict: false });
  const navigate = useNavigate();
  return (
    <TextField
      label={label}
      type="search"
      value={q ?? ""}
      onChange={(typed) =>
        navigate({
          to: ".",
          search: (now: object) => ({ ...now, q: typed || undefined }) as never,
          replace: true,
          resetScroll: false,
        })
      }
    />
  );
}

/** Narrows a list to what has this in its name. */
export function NameFilter() {
  const { common } = useWords();
  return (
    <Filters>
      <CalledField label={common.called} />
    </Filters>
  );
}
