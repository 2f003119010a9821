import type { Words } from "../index";

/** Titles of runs, findings of checks, what goes with the whole restore. */
export const told: Words["told"] = [
  [/^full snapshot$/, "voller Snapshot"],
  [/^tenant snapshot$/, "Snapshot eines Mandanten"],
  [
    /^snapshot of the manager's state before its upgrade$/,
    "Snapshot des Managers vor seinem Upgrade",
  ],
  [/^snapshot of the manager$/, "Snapshot des Managers"],
  [/^snapshot of (.*)$/, "Snapshot von $1"],
  [
    /^restore of everything, after the manager itself$/,
    "Wiederherstellung von allem, nach dem Manager",
  ],
  [/^restore of (.*)$/, "Wiederherstellung von $1"],
  [/^deletion of snapshots whose time is over$/, "Löschen abgelaufener Snapshots"],
  [/^check of storage (\S+)$/, "Prüfung des Speichers $1"],
  [/^check of all agents and connectors$/, "Prüfung aller Agenten und Konnektoren"],
  [/^sync (\S+) to storage (\S+)(.*)$/, "Kopieren nach Regel $1 in den Speicher $2$3"],
  [/^(?:plain )?bundle of snapshot (\S+)$/, "Datei von Snapshot $1"],
  [/^import of (.*) for (\S+)$/, "Einlesen von $1 für $2"],

  [
    /^an object is put in (\S+) ms and read in (\S+) ms$/,
    "ein Objekt ist in $1 ms geschrieben und in $2 ms gelesen",
  ],
  [
    /^objects can be put, read, listed and deleted$/,
    "Objekte lassen sich schreiben, lesen, auflisten und löschen",
  ],
  [/^several hosts may write at the same time$/, "mehrere Hosts können zugleich schreiben"],
  [
    /^the store's clock and this host's agree$/,
    "die Uhr des Speichers und die dieses Hosts stimmen überein",
  ],
  [/^(\S+ \S+) are free$/, "$1 sind frei"],
  [/^(\S+) % full \((\S+ \S+) of (\S+ \S+) are free\)$/, "$1 % voll ($2 von $3 sind frei)"],

  [
    /^this store cannot tell writers apart$/,
    "dieser Speicher kann Schreibende nicht unterscheiden",
  ],
  [
    /^only one process will write at a time; for agents choose a store with conditional writes$/,
    "nur ein Prozess wird zugleich schreiben; wählen Sie für Agenten einen Speicher mit bedingtem Schreiben",
  ],
  [
    /^give this user, or this access key, the right to put, get, list and delete there$/,
    "geben Sie diesem Benutzer oder Zugangsschlüssel das Recht, dort zu schreiben, zu lesen, aufzulisten und zu löschen",
  ],
  [/^the store does not tell what time it is$/, "der Speicher sagt nicht, wie spät es ist"],
  [/^the store does not tell how much is free$/, "der Speicher sagt nicht, wie viel frei ist"],
  [
    /^(\S+ \S+) are free, and about (\S+ \S+) will be needed$/,
    "$1 sind frei, und etwa $2 werden gebraucht",
  ],
  [
    /^make room, keep snapshots for a shorter time, or choose another storage$/,
    "schaffen Sie Platz, heben Sie Snapshots kürzer auf, oder wählen Sie einen anderen Speicher",
  ],
  [
    /^make room, or choose another storage$/,
    "schaffen Sie Platz, oder wählen Sie einen anderen Speicher",
  ],
  [/^plan for more room$/, "planen Sie mehr Platz ein"],
  [
    /^make room now: delete snapshots, keep them for a shorter time, or add a storage; what is full takes no more snapshots$/,
    "schaffen Sie jetzt Platz: Löschen Sie Snapshots, heben Sie sie kürzer auf, oder fügen Sie einen Speicher hinzu; was voll ist, nimmt keine Snapshots mehr",
  ],
  [
    /^(\S+) % full \((\S+ \S+) of (\S+ \S+) are free\), and full on (\S+)$/,
    "$1 % voll ($2 von $3 sind frei), und am $4 ganz",
  ],
  [
    /^set both by the time of the network \(`timedatectl set-ntp true`\): when snapshots are due, and until when they are kept and locked, goes by these clocks$/,
    "stellen Sie beide nach der Zeit des Netzwerks (`timedatectl set-ntp true`): Wann Snapshots fällig sind, und bis wann sie bleiben und gesperrt sind, geht nach diesen Uhren",
  ],
  [
    /^it lies on this host and is lost together with it$/,
    "er liegt auf diesem Host und geht mit ihm verloren",
  ],
  [
    /^add a storage elsewhere, and keep full snapshots there$/,
    "fügen Sie anderswo einen Speicher hinzu, und heben Sie volle Snapshots dort auf",
  ],
  [
    /^agents cannot use it: they are not given the access key that can delete$/,
    "Agenten können ihn nicht benutzen: Sie bekommen den Zugangsschlüssel nicht, der löschen kann",
  ],
  [
    /^if there are any, give them one that can put, get and list: `(.*)`$/,
    "wenn es welche gibt, geben Sie ihnen einen, der schreiben, lesen und auflisten kann: `$1`",
  ],

  [
    /^read while others write: its files may be of different moments(?:; put it on btrfs, or on an image on a file system with reflinks)?$/,
    "gelesen, während andere schreiben: Seine Dateien können aus verschiedenen Augenblicken stammen; legen Sie es auf btrfs, oder auf ein Abbild in einem Dateisystem mit Reflinks",
  ],
  [
    /^volume (\S+): (\S+): No such file or directory \(os error 2\)$/,
    "Volume $1: $2 gibt es nicht",
  ],
  [/^switched off$/, "ausgeschaltet"],
  [
    /^snapshots are switched off for this tenant$/,
    "Snapshots sind für diesen Mandanten ausgeschaltet",
  ],

  [
    /^it is typed on the manager's host, as the user that the manager runs as; it shows a plan and asks before anything is done; on another machine it asks for the twelve words of the recovery sheet, too$/,
    "er wird auf dem Host des Managers eingegeben, als der Benutzer, unter dem der Manager läuft; er zeigt einen Plan und fragt, bevor etwas geschieht; auf einer anderen Maschine fragt er auch nach den zwölf Wörtern des Notfallblatts",
  ],
  [
    /^it holds the manager's state alone: applications stay as they are$/,
    "er enthält nur den Zustand des Managers: Anwendungen bleiben, wie sie sind",
  ],
  [
    /^what was changed since, in the manager and in all applications, is replaced$/,
    "was seither geändert wurde, im Manager und in allen Anwendungen, wird ersetzt",
  ],
  [
    /^something is missing in this snapshot: look at its items first$/,
    "in diesem Snapshot fehlt etwas: Sehen Sie zuerst nach, was er enthält",
  ],
  [
    /^all sessions have ended: log in again, with the passwords of that time; tokens go on, unless `--revoke-tokens` ends them$/,
    "alle Sitzungen sind zu Ende: Melden Sie sich neu an, mit den Passwörtern von damals; Tokens gelten weiter, außer `--revoke-tokens` beendet sie",
  ],
  [
    /^`tintype manager undo`, which it names at its end, brings back what was there$/,
    "`tintype manager undo`, das er am Ende nennt, bringt zurück, was da war",
  ],
  [
    /^it holds chosen resources only: the manager, other tenants and other resources are not in it, and a restore of everything would lose them; restore what it holds$/,
    "er enthält nur ausgewählte Ressourcen: Der Manager, andere Mandanten und andere Ressourcen sind nicht darin und gingen mit einer Wiederherstellung von allem verloren; stellen Sie wieder her, was er enthält",
  ],
  [
    /^it holds one tenant only: the manager and other tenants are not in it; restore the resources of the tenant$/,
    "er enthält nur einen Mandanten: Der Manager und andere Mandanten sind nicht darin; stellen Sie die Ressourcen des Mandanten wieder her",
  ],
  [
    /^administrators of the system restore everything$/,
    "Administratoren des Systems stellen alles wieder her",
  ],

  [/^nothing is mounted at (.*)$/, "in $1 ist nichts eingehängt"],
  [/^(\S+) does not exist and is made$/, "$1 gibt es nicht und wird angelegt"],
  [/^there is no directory (.*)$/, "es gibt kein Verzeichnis $1"],
  [
    /^move it away, or choose another path$/,
    "verschieben Sie es, oder wählen Sie einen anderen Pfad",
  ],
  [/^(\S+) is no directory$/, "$1 ist kein Verzeichnis"],
  [/^(\S+) is there and is replaced$/, "$1 ist da und wird ersetzt"],
  [/^(\S+) is an empty directory$/, "$1 ist ein leeres Verzeichnis"],
  [/^(\S+) is not empty$/, "$1 ist nicht leer"],
  [
    /^choose a path where nothing is, or restore in place$/,
    "wählen Sie einen Pfad, wo nichts ist, oder stellen Sie am selben Ort wieder her",
  ],
  [
    /^root may restore owners and all attributes$/,
    "root darf Eigentümer und alle Attribute wiederherstellen",
  ],
  [
    /^without root files of others become your own$/,
    "ohne root werden Dateien anderer Ihre eigenen",
  ],
  [
    /^run as root to restore owners$/,
    "führen Sie es als root aus, um Eigentümer wiederherzustellen",
  ],
  [/^(\S+) is mounted read-only$/, "$1 ist nur zum Lesen eingehängt"],
  [
    /^remount it for writing, or choose another path$/,
    "hängen Sie es zum Schreiben ein, oder wählen Sie einen anderen Pfad",
  ],
  [/^(\S+) can be written to$/, "in $1 kann geschrieben werden"],
  [/^(\S+) is exchanged by one rename$/, "$1 wird durch einmal Umbenennen getauscht"],
  [
    /^(\S+) itself stays, because (.*); what it holds is exchanged one by one$/,
    "$1 selbst bleibt, denn $:2; was es enthält, wird eines nach dem anderen getauscht",
  ],
  [/^something is mounted there$/, "dort ist etwas eingehängt"],
  [/^it is a subvolume$/, "es ist ein Subvolume"],
  [/^clients of its share hold it$/, "Clients seiner Freigabe halten es"],
  [
    /^files below (.*) are open for writing in (.*)$/,
    "Dateien unter $1 sind zum Schreiben offen in $2",
  ],
  [/^nothing is written$/, "nichts wird geschrieben"],
  [/^(\S+) has (\S+) MiB free$/, "in $1 sind $2 MiB frei"],
  [
    /^(\S+) has (\S+) MiB free, (\S+) MiB are needed$/,
    "in $1 sind $2 MiB frei, gebraucht werden $3 MiB",
  ],
  [
    /^make room, or restore to another place$/,
    "schaffen Sie Platz, oder stellen Sie an einem anderen Ort wieder her",
  ],
  [/^restore it as new$/, "stellen Sie es als Neues wieder her"],
  [
    /^it lies elsewhere now than when it was captured, and is restored to where it lies now$/,
    "es liegt jetzt anderswo als bei der Aufnahme und wird dort wiederhergestellt, wo es jetzt liegt",
  ],
  [
    /^restore it as new, to have it where it lay$/,
    "stellen Sie es als Neues wieder her, um es dort zu haben, wo es lag",
  ],
  [/^user (\S+) may write in (.*)$/, "Benutzer $1 darf in $2 schreiben"],

  [/^in place$/, "am selben Ort"],
  [/^in place on agent (.*)$/, "am selben Ort, beim Agenten $1"],
  [/^as new (.*) on agent (.*)$/, "neu als $1, beim Agenten $2"],
  [/^as new (.*)$/, "neu als $1"],
  [/^files into (.*)$/, "Dateien nach $1"],
  [/^write (\d+) entries, (\d+) bytes, to (.*)$/, "$1 Einträge, $2 Bytes, nach $3 schreiben"],
  [
    /^note the moment: what is written from here on is not removed$/,
    "den Augenblick festhalten: Was von hier an geschrieben wird, wird nicht entfernt",
  ],
  [
    /^note the moment: what (.*) gets from here on is not removed$/,
    "den Augenblick festhalten: Was von hier an zu $1 kommt, wird nicht entfernt",
  ],
  [/^show it as (.*)$/, "es als $1 zeigen"],
  [/^exchange (.*) with it, by one rename$/, "$1 damit tauschen, durch einmal Umbenennen"],
  [
    /^exchange what (.*) holds with it, entry by entry$/,
    "was $1 enthält damit tauschen, Eintrag für Eintrag",
  ],
  [/^look whether (.*) is what was restored$/, "nachsehen, ob $1 das Wiederhergestellte ist"],
  [/^remove (.*), and with it what was replaced$/, "$1 entfernen, und damit, was ersetzt wurde"],
  [/^remove what stood (?:at|in) (.*) before$/, "entfernen, was vorher in $1 stand"],
  [/^remove what was replaced$/, "entfernen, was ersetzt wurde"],
  [/^remove (.*)$/, "$1 entfernen"],
  [/^write (\d+) bytes beside (.*) and check them$/, "$1 Bytes neben $2 schreiben und prüfen"],
  [/^write (\d+) MiB beside (.*)$/, "$1 MiB neben $2 schreiben"],
  [/^unpack (\d+) MiB beside (.*)$/, "$1 MiB neben $2 auspacken"],
  [/^put the restored database at (.*)$/, "die wiederhergestellte Datenbank nach $1 stellen"],
  [/^put it in the place of (.*)$/, "es an die Stelle von $1 setzen"],
  [/^put it at (.*)$/, "es nach $1 stellen"],
  [/^open (.*)$/, "$1 öffnen"],
  [/^make the roles (.*)$/, "die Rollen $1 anlegen"],
  [/^the roles (.*) are done$/, "die Rollen $1 sind fertig"],
  [/^make the accounts (.*), with their rights$/, "die Konten $1 anlegen, mit ihren Rechten"],
  [/^the accounts (.*) are done$/, "die Konten $1 sind fertig"],
  [/^fill database (.*) under the name (.*)$/, "die Datenbank $1 unter dem Namen $2 füllen"],
  [/^make and fill database (.*)$/, "die Datenbank $1 anlegen und füllen"],
  [/^give it its name (.*)$/, "ihr den Namen $1 geben"],
  [/^count the tables of (.*)$/, "die Tabellen von $1 zählen"],
  [
    /^count the changes of (.*): one that is changed from here on stays$/,
    "die Änderungen von $1 zählen: Wird sie von hier an geändert, bleibt sie",
  ],
  [
    /^sum up the rows of (.*): one that is changed from here on stays$/,
    "die Zeilen von $1 zusammenrechnen: Wird sie von hier an geändert, bleibt sie",
  ],
  [
    /^rename the tables of (.*) aside, and those of (.*) to (.*)$/,
    "die Tabellen von $1 beiseite umbenennen, und die von $2 nach $3",
  ],
  [/^drop what was (.*) before$/, "löschen, was vorher $1 war"],
  [/^ask it on port (\d+) for its databases$/, "ihn auf Port $1 nach seinen Datenbanken fragen"],
  [/^start the machine$/, "die Maschine starten"],
  [/^start the machine (.*) with the host$/, "die Maschine $1 mit dem Host starten lassen"],
  [/^see that it runs and its agent answers$/, "nachsehen, dass sie läuft und ihr Agent antwortet"],
  [/^define the machine (.*)$/, "die Maschine $1 definieren"],
  [/^define the network (.*)$/, "das Netzwerk $1 definieren"],
  [/^start the network (.*) with the host$/, "das Netzwerk $1 mit dem Host starten lassen"],
  [/^start the network (.*)$/, "das Netzwerk $1 starten"],
  [/^write disk (\S+) \((\d+) MiB\) to (.*)$/, "die Platte $1 ($2 MiB) nach $3 schreiben"],
  [
    /^see that disk (\S+) can be opened at (.*)$/,
    "nachsehen, dass sich die Platte $1 in $2 öffnen lässt",
  ],
  [/^write the firmware's variables to (.*)$/, "die Variablen der Firmware nach $1 schreiben"],

  [/^waiting: (.*); it is given up at (.*)$/, "wartet: $:1; aufgegeben wird es um $2"],
  [
    /^asking whether storage (\S+) answers again$/,
    "es wird gefragt, ob der Speicher $1 wieder antwortet",
  ],
  [
    /^copying from storage (\S+) to storage (\S+)$/,
    "es wird vom Speicher $1 in den Speicher $2 kopiert",
  ],
  [/^capturing tenant (.*)$/, "der Mandant $1 wird aufgenommen"],
  [/^restoring$/, "es wird wiederhergestellt"],
  [/^trying connector (.*)$/, "der Konnektor $1 wird ausprobiert"],
  [/^waiting for agents: (.*)$/, "es wird auf Agenten gewartet: $1"],
  [/^writing the bundle$/, "die Datei wird geschrieben"],
  [/^fetching$/, "es wird geholt"],
  [/^checking the upload$/, "die hochgeladene Datei wird geprüft"],
  [/^importing$/, "es wird eingelesen"],
  [/^taking back$/, "es wird zurückgenommen"],
  [/^freeing what no snapshot needs$/, "was kein Snapshot braucht, wird freigegeben"],
  [/^reading and checking$/, "es wird gelesen und geprüft"],
  [/^joining what the hosts captured$/, "was die Hosts aufgenommen haben, wird zusammengefügt"],

  [/^no snapshot holds (.*)$/, "kein Snapshot enthält $1"],
  [/^not protected: (.*)$/, "nicht geschützt: $1"],
  [/^storage (\S+) cannot be used: (.*)$/, "der Speicher $1 lässt sich nicht benutzen: $:2"],
  [/^everything, daily, kept a month$/, "alles, täglich, bleibt einen Monat"],
  [
    /^what has the tag `protected`, daily, kept a month$/,
    "was das Merkmal `protected` hat, täglich, bleibt einen Monat",
  ],
  [
    /^hourly kept 3 hours and immutable, midnight kept 3 days, noon kept a day$/,
    "stündlich, bleibt 3 Stunden und unveränderlich; um Mitternacht, bleibt 3 Tage; mittags, bleibt einen Tag",
  ],
  [
    /^yearly kept 7 years, monthly a year, weekly 31 days, daily 7 days$/,
    "jährlich, bleibt 7 Jahre; monatlich ein Jahr, wöchentlich 31 Tage, täglich 7 Tage",
  ],
  [
    /^yearly kept forever, monthly a year, weekly 31 days, daily 7 days$/,
    "jährlich, bleibt für immer; monatlich ein Jahr, wöchentlich 31 Tage, täglich 7 Tage",
  ],

  [/^done$/, "getan"],
  [/^refused$/, "abgelehnt"],
  [/^succeeded$/, "gelungen"],
  [/^incomplete$/, "unvollständig"],
  [/^failed$/, "fehlgeschlagen"],
  [/^canceled$/, "abgebrochen"],
];
