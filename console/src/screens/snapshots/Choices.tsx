import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { resources } from "../../api/queries";
import { SelectField, TextField } from "../../parts/field/inputs";
import { Filters } from "../../parts/filters/Filters";
import { useWords } from "../../words";
import { list } from "./screen";
import { SPANS, spanOf } from "./timeline/timeline";

/** Which snapshots, and how they are shown. */
export function Choices() {
  const { snapshots: words, timeline } = useWords();
  const { q, view, span } = list.useSearch();
  const navigate = useNavigate({ from: list.fullPath });
  return (
    <Filters>
      <TextField
        label={words.filter}
        type="search"
        placeholder={words.filterHelp}
        value={q ?? ""}
        onChange={(typed) =>
          navigate({ search: (now) => ({ ...now, q: typed || undefined }), replace: true })
        }
      />
      <Resource />
      <SelectField
        label={timeline.show}
        value={view ?? ""}
        onChange={(next) =>
          navigate({
            search: (now) => ({ ...now, view: next === "timeline" ? "timeline" : undefined }),
          })
        }
      >
        <option value="">{timeline.views.list}</option>
        <option value="timeline">{timeline.views.timeline}</option>
      </SelectField>
      {view === "timeline" && (
        <SelectField
          label={timeline.span}
          value={span ?? ""}
          onChange={(next) =>
            navigate({ search: (now) => ({ ...now, span: spanOf(next) }), replace: true })
          }
        >
          <option value="">{timeline.fitting}</option>
          {SPANS.map((each) => (
            <option key={each} value={each}>
              {timeline.spans[each]}
            </option>
          ))}
        </SelectField>
      )}
    </Filters>
  );
}

function Resource() {
  const { snapshots: words } = useWords();
  const { resource } = list.useSearch();
  const navigate = useNavigate({ from: list.fullPath });
  const known = useQuery(resources);
  return (
    <SelectField
      label={words.resource}
      value={resource ?? ""}
      onChange={(id) => navigate({ search: (now) => ({ ...now, resource: id || undefined }) })}
    >
      <option value="">{words.anyResource}</option>
      {known.data?.items.map(({ id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </SelectField>
  );
}
