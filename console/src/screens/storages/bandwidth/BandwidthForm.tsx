import { useState } from "react";
import { unchanged, useChange } from "../../../api/change";
import { api, ask } from "../../../api/client";
import type { Storage } from "../../../api/types";
import { useBecause } from "../../../app/because";
import { Answers } from "../../../parts/field/Answers";
import { Form } from "../../../parts/field/Form";
import { TextField } from "../../../parts/field/inputs";
import { WindowFields } from "../../../parts/period/WindowFields";
import { ZoneField } from "../../../parts/period/ZoneField";
import { ownZone } from "../../../parts/period/zone";
import { useWords } from "../../../words";
import { bandwidthOf, limitsOf, type RateWindow } from "./windows";

const FRESH: RateWindow = { days: [], from: "08:00", to: "18:00", rate: "20MiB" };

export function BandwidthForm({ storage, onClose }: { storage: Storage; onClose: () => void }) {
  const { storages, common } = useWords();
  const words = storages.bandwidth;
  const because = useBecause();
  const [limits, setLimits] = useState(() => {
    const known = limitsOf(storage.spec.bandwidth);
    return known.windows.length > 0 ? known : { zone: ownZone(), windows: [FRESH] };
  });
  const save = useChange(
    ["storage"],
    () =>
      ask(
        api.PATCH("/api/v1/storages/{id}", {
          params: { path: { id: storage.id }, header: unchanged(storage) },
          body: { spec: { ...storage.spec, bandwidth: bandwidthOf(limits) ?? null } },
        }),
      ),
    onClose,
  );
  return (
    <Form
      onSubmit={() => save.mutate(undefined)}
      error={save.error}
      actions={
        <Answers
          action={common.save}
          isBusy={save.isPending}
          because={because}
          onCancel={onClose}
        />
      }
    >
      <p>{words.help}</p>
      <WindowFields
        label={words.windows}
        windows={limits.windows}
        fresh={FRESH}
        onChange={(windows) => setLimits({ ...limits, windows })}
        more={(window, change) => (
          <TextField label={words.rate} value={window.rate} onChange={(rate) => change({ rate })} />
        )}
      />
      <ZoneField value={limits.zone} onChange={(zone) => setLimits({ ...limits, zone })} />
    </Form>
  );
}
