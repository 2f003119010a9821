//! Snapshots as files: made, downloaded, uploaded, imported; and what is refused on the way.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tintype_api::bundle::{Bundle, NewBundle, NewImport, NewUpload, PIECE_BYTES, Upload};
use tintype_api::client::Client;
use tintype_api::content::EntryQuery;
use tintype_api::object::{ChangedObject, Object};
use tintype_api::page::Page;
use tintype_api::run::{Run, RunState};
use tintype_api::snapshot::{Snapshot, Trigger};
use tintype_api::tenant::TenantSpec;
use tintype_model::ErrorKind;
use tintype_model::rights::Role;

use crate::lab::Lab;
use crate::snapshots::{ended, partial, succeeded, taken, volume};

const PASSPHRASE: &str = "correct horse battery";
const PLACE: &str = "tenants/system/volumes/files";

fn snapshot(lab: &Lab, client: &Client) -> Snapshot {
    let files = lab.data().join("files");
    volume(client, "files", &files);
    std::fs::write(files.join("a"), "what it holds").unwrap();
    std::fs::create_dir_all(files.join("deep")).unwrap();
    std::fs::write(files.join("deep/b"), vec![7; 300_000]).unwrap();
    taken(client, &partial(&["files"]))
}

fn sealed() -> NewBundle {
    NewBundle { passphrase: Some(PASSPHRASE.into()), ..NewBundle::default() }
}

fn plain() -> NewBundle {
    NewBundle { plain: true, ..NewBundle::default() }
}

#[test]
fn an_import_counts_against_the_quota_of_its_tenant() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let bytes = downloaded(&client, &snapshot(&lab, &client), &sealed());
    let upload = || uploaded(&client, &bytes, &announced(&bytes));
    let tenant = Lab::tenant(&client, "acme");
    let into = |tenant: &Object<TenantSpec>| NewImport {
        tenant: Some(tenant.id.clone()),
        ..opens(PASSPHRASE)
    };
    succeeded(&client, &client.import_upload(&upload().id, &into(&tenant)).unwrap());
    let spec = TenantSpec { quota_bytes: Some(1), ..tenant.spec.clone() };
    let changed = ChangedObject { name: None, spec: Some(spec) };
    client.change(&tenant.id, None, &changed).unwrap();
    let run = ended(&client, &client.import_upload(&upload().id, &into(&tenant)).unwrap());
    assert_eq!(run.state, RunState::Failed);
    assert!(run.cause.unwrap().contains("of a quota of"), "it says what helps");
}

/// The bytes of a bundle that is made now, fetched in two parts.
fn downloaded(client: &Client, snapshot: &Snapshot, new: &NewBundle) -> Vec<u8> {
    let bundle = client.create_bundle(&snapshot.id, new).unwrap();
    succeeded(client, &bundle.run);
    let bundle = client.bundle(&bundle.id).unwrap();
    assert!(bundle.expires.is_some());
    let size = bundle.size_bytes.unwrap();
    let mut first = client.bundle_content(&bundle.id, 0, None).unwrap();
    assert_eq!(first.size_bytes, size);
    let mut bytes = vec![0; size as usize / 2];
    first.body.read_exact(&mut bytes).unwrap();
    let rest = client.bundle_content(&bundle.id, bytes.len() as u64, Some(&first.tag)).unwrap();
    assert_eq!(rest.from, bytes.len() as u64);
    let mut body = rest.body;
    body.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

#[test]
fn what_is_on_its_way_is_listed_until_it_is_over() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let snapshot = snapshot(lab, &client);
        assert_eq!((client.bundles().unwrap(), client.uploads().unwrap()), (vec![], vec![]));
        let made = [plain(), sealed()].map(|new| client.create_bundle(&snapshot.id, &new).unwrap());
        let ids = |client: &Client| {
            let all = client.bundles().unwrap().into_iter().map(|bundle| bundle.id);
            all.collect::<Vec<_>>()
        };
        assert_eq!(ids(&client), [made[1].id.clone(), made[0].id.clone()]);
        made.iter().for_each(|bundle| drop(succeeded(&client, &bundle.run)));
        let listed = client.bundles().unwrap();
        assert!(listed.iter().all(|one| one.size_bytes.is_some() && one.expires.is_some()));
        let first: Page<Bundle> = client.get("/bundles?limit=1").unwrap();
        let next = format!("/bundles?limit=1&cursor={}", first.next.unwrap());
        let second: Page<Bundle> = client.get(&next).unwrap();
        assert_eq!((&second.items[0].id, second.next), (&made[0].id, None));
        client.delete_bundle(&made[1].id).unwrap();
        assert_eq!(ids(&client), [made[0].id.clone()]);

        let new = announced(&[7; 10]);
        let [one, two] = [(); 2].map(|()| client.create_upload(&new).unwrap().id);
        client.send_upload(&one, 0, &[7; 4]).unwrap();
        let uploads = client.uploads().unwrap();
        let at = uploads.iter().map(|one| (&one.id, one.offset, one.is_whole));
        assert_eq!(at.collect::<Vec<_>>(), [(&two, 0, false), (&one, 4, false)]);
        let first: Page<Upload> = client.get("/uploads?limit=1").unwrap();
        let next = format!("/uploads?limit=1&cursor={}", first.next.unwrap());
        assert_eq!(client.get::<Page<Upload>>(&next).unwrap().items[0].id, one);
        client.delete_upload(&two).unwrap();
        assert_eq!(client.uploads().unwrap().len(), 1);
        lab.shift(25);
        assert_eq!(lab.administrator().bundles().unwrap(), vec![], "a day is over");
    });
}

fn announced(bytes: &[u8]) -> NewUpload {
    let size_bytes = Some(bytes.len() as u64);
    NewUpload { name: "shop.zip".into(), size_bytes, ..NewUpload::default() }
}

fn uploaded(client: &Client, bytes: &[u8], new: &NewUpload) -> Upload {
    let mut upload = client.create_upload(new).unwrap();
    for piece in bytes.chunks(70_000) {
        upload = client.send_upload(&upload.id, upload.offset, piece).unwrap();
    }
    assert!(upload.is_whole);
    upload
}

fn opens(passphrase: &str) -> NewImport {
    NewImport { passphrase: Some(passphrase.into()), ..NewImport::default() }
}

fn snapshots(client: &Client) -> Vec<Snapshot> {
    client.get::<Page<Snapshot>>("/snapshots").unwrap().items
}

/// All that is written down of anything.
fn told(lab: &Lab, client: &Client) -> String {
    let runs: Page<Run> = client.get("/runs?limit=1000").unwrap();
    let logs = runs.items.iter().map(|run| client.run_log(&run.id, 0).unwrap());
    let logs = format!("{:?}", logs.collect::<Vec<_>>());
    let audit = client.audit(1000).unwrap();
    let catalog = std::fs::read(lab.data().join("data/catalog.sqlite")).unwrap_or_default();
    let log = std::fs::read(lab.data().join("data/catalog.sqlite-wal")).unwrap_or_default();
    let files = [catalog, log].concat();
    format!("{runs:?} {logs} {audit:?} {}", String::from_utf8_lossy(&files))
}

#[test]
fn a_snapshot_leaves_as_a_file_and_comes_back_elsewhere() {
    Lab::on_each(|lab| {
        let client = lab.administrator();
        let snapshot = snapshot(lab, &client);
        let bytes = downloaded(&client, &snapshot, &sealed());
        assert!(bytes.windows(16).any(|part| part == b"snapshot.zip.age"));
        assert!(!bytes.windows(13).any(|part| part == b"what it holds"));
        let tenant = Lab::tenant(&client, "acme").id;
        let theirs = lab.as_role(&client, &tenant, Role::Administrator, "theirs");
        let upload = uploaded(&client, &bytes, &announced(&bytes));
        let new = NewImport { tenant: Some(tenant.clone()), ..opens(PASSPHRASE) };
        let run = succeeded(&client, &client.import_upload(&upload.id, &new).unwrap());
        let id = run.result["snapshot"].as_str().unwrap();
        let imported: Snapshot = client.get(&format!("/snapshots/{id}")).unwrap();
        assert_eq!((imported.trigger, &imported.tenant), (Trigger::Upload, &tenant));
        assert!(imported.is_private && imported.is_complete && imported.expiry.is_some());
        assert_eq!(imported.entries, snapshot.entries);
        assert_eq!(client.snapshot_items(id).unwrap()[0].resource, None, "it is nobody's here");
        let path = Some(format!("{PLACE}/a"));
        let query = EntryQuery { path, ..EntryQuery::default() };
        let mut text = String::new();
        client.file(id, &query, 0, None).unwrap().body.read_to_string(&mut text).unwrap();
        assert_eq!(text, "what it holds");
        assert_eq!(theirs.tree(id, &query).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(snapshots(&theirs).is_empty());
        assert_eq!(client.upload(&upload.id).unwrap_err().kind(), ErrorKind::NotFound, "used up");
        assert!(!told(lab, &client).contains(PASSPHRASE));
        let actions: Vec<String> =
            client.audit(1000).unwrap().items.into_iter().map(|entry| entry.action).collect();
        for action in ["bundle.create", "bundle.download", "upload.create", "upload.import"] {
            assert!(actions.iter().any(|told| told == action), "{action}");
        }
    });
}

#[test]
fn what_is_secret_is_said_before_and_bundles_go() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let snapshot = snapshot(&lab, &client);
    let secrets = client.secrets(&snapshot.id, "").unwrap();
    assert_eq!(secrets[0].path, "tenants");
    let bundle = client.create_bundle(&snapshot.id, &plain()).unwrap();
    assert_eq!((bundle.secrets, bundle.is_plain), (secrets, true));
    succeeded(&client, &bundle.run);
    let file = lab.data().join(format!("data/bundles/{}.zip", bundle.id));
    assert!(file.exists());
    client.delete_bundle(&bundle.id).unwrap();
    assert!(!file.exists());
    let gone = client.bundle_content(&bundle.id, 0, None).err().unwrap();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert_eq!(client.bundle(&bundle.id).unwrap().size_bytes, None);
    let wrong = [
        NewBundle::default(),
        NewBundle { passphrase: Some("short".into()), ..NewBundle::default() },
        NewBundle { passphrase: Some(PASSPHRASE.into()), ..plain() },
        NewBundle { recipients: vec!["age1nonsense".into()], ..NewBundle::default() },
        NewBundle { path: "a/../b".into(), ..plain() },
    ];
    for new in wrong {
        let refused = client.create_bundle(&snapshot.id, &new).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{new:?}: {refused}");
        assert!(!refused.message().contains(PASSPHRASE));
    }
    let absent = NewBundle { path: "nothing/here".into(), ..plain() };
    let absent = client.create_bundle(&snapshot.id, &absent).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    // What nobody fetches goes after a day.
    let bundle = client.create_bundle(&snapshot.id, &plain()).unwrap();
    succeeded(&client, &bundle.run);
    let file = lab.data().join(format!("data/bundles/{}.zip", bundle.id));
    let upload = client.create_upload(&announced(b"12345")).unwrap();
    client.send_upload(&upload.id, 0, b"123").unwrap();
    let sent = lab.data().join(format!("data/uploads/{}", upload.id));
    let mut lab = lab;
    let state = lab.stopped_state();
    lab.block_on(tintype_manager::uploads::sweep(&state)).unwrap();
    assert!(file.exists() && sent.exists());
    lab.shift(25);
    lab.block_on(tintype_manager::uploads::sweep(&state)).unwrap();
    assert!(!file.exists() && !sent.exists());
}

#[test]
fn uploads_that_are_wrong_make_no_snapshot() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let snapshot = snapshot(&lab, &client);
    let bytes = downloaded(&client, &snapshot, &sealed());
    let before = snapshots(&client).len();
    let upload = client.create_upload(&announced(&bytes)).unwrap();
    let send = |offset, piece: &[u8]| client.send_upload(&upload.id, offset, piece);
    assert_eq!(send(0, &bytes[..100]).unwrap().offset, 100);
    for offset in [0, 99, 101, u64::MAX] {
        let refused = send(offset, &bytes[100..200]).unwrap_err();
        assert!(refused.message().contains("begins at 100"), "{refused}");
    }
    let behind = [&bytes[100..], b"more"].concat();
    assert!(send(100, &behind).unwrap_err().message().contains("this piece ends at"));
    // On a connection of its own, which the manager closes.
    let large = lab.administrator().send_upload(&upload.id, 100, &vec![0; PIECE_BYTES + 1]);
    assert!(large.is_err(), "a piece that is too large");
    assert_eq!(client.upload(&upload.id).unwrap().offset, 100, "nothing of it was kept");
    let early = client.import_upload(&upload.id, &opens(PASSPHRASE)).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Locked, "{early}");
    send(100, &bytes[100..]).unwrap();
    let refused = |upload: &Upload, new: &NewImport| {
        let run = ended(&client, &client.import_upload(&upload.id, new).unwrap());
        assert_eq!(run.state, RunState::Failed, "{run:?}");
        assert_eq!(snapshots(&client).len(), before);
        run.cause.unwrap()
    };
    let cause = refused(&upload, &NewImport::default());
    assert!(cause.contains("sealed: a passphrase opens it"), "{cause}");
    refused(&upload, &opens("another passphrase"));
    // The same upload with the right one.
    succeeded(&client, &client.import_upload(&upload.id, &opens(PASSPHRASE)).unwrap());
    let before = before + 1;
    let refused = |bytes: &[u8], new: &NewUpload, secret: &NewImport| {
        let upload = uploaded(&client, bytes, new);
        let run = ended(&client, &client.import_upload(&upload.id, secret).unwrap());
        assert_eq!((run.state, snapshots(&client).len()), (RunState::Failed, before), "{run:?}");
        client.delete_upload(&upload.id).unwrap();
        run.cause.unwrap()
    };
    let hash = NewUpload { sha256: Some("0".repeat(64)), ..announced(&bytes) };
    let cause = refused(&bytes, &hash, &opens(PASSPHRASE));
    assert!(cause.contains("SHA-256"), "{cause}");
    let cause =
        refused(b"PK is not enough", &announced(b"PK is not enough"), &NewImport::default());
    assert!(cause.contains("is no bundle"), "{cause}");
    let open = downloaded(&client, &snapshot, &plain());
    let cut = &open[..open.len() - 100];
    refused(cut, &announced(cut), &NewImport::default());
    let too_large = NewUpload { size_bytes: Some(65 << 20), ..announced(&[]) };
    let large = client.create_upload(&too_large).unwrap_err();
    assert!(large.message().contains("`uploads.most`"), "{large}");
    for wrong in [NewUpload::default(), NewUpload { sha256: Some("x".into()), ..announced(b"1") }] {
        assert_eq!(client.create_upload(&wrong).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

/// Serves files on a host of this machine.
struct Served {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn new(bundle: Vec<u8>, inside: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                // Whoever hangs up has heard enough.
                let _ = answer(stream.unwrap(), &bundle, inside);
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

fn answer(mut stream: TcpStream, bundle: &[u8], inside: SocketAddr) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut lines = BufReader::new(stream.try_clone()?);
    while lines.read_until(b'\n', &mut head)? > 2 {}
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let length = |bytes: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
    let redirect =
        |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    match path.split('?').next().unwrap_or_default() {
        "/good" => {
            stream.write_all(length(bundle.len()).as_bytes())?;
            stream.write_all(bundle)
        }
        "/short" => {
            stream.write_all(length(bundle.len() + 10).as_bytes())?;
            stream.write_all(bundle)
        }
        "/large" => stream.write_all(length(65 << 20).as_bytes()),
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            let zeros = vec![0; 65536];
            loop {
                stream.write_all(&zeros)?;
            }
        }
        "/inside" => stream.write_all(redirect(&format!("http://{inside}/secret")).as_bytes()),
        "/mapped" => {
            let to = format!("http://[::ffff:127.0.0.1]:{}/secret", inside.port());
            stream.write_all(redirect(&to).as_bytes())
        }
        "/file" => stream.write_all(redirect("file:///etc/passwd").as_bytes()),
        "/round" => stream.write_all(redirect("/round").as_bytes()),
        _ => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    }
}

#[test]
fn a_url_is_fetched_and_leads_nowhere_else() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    let snapshot = snapshot(&lab, &client);
    let bytes = downloaded(&client, &snapshot, &plain());
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    let served = Served::new(bytes.clone(), inside.local_addr().unwrap());
    let fetch = |url: String, sha256: Option<String>| {
        let new = NewUpload { name: "shop".into(), url: Some(url), sha256, size_bytes: None };
        client.create_upload(&new)
    };
    let upload = fetch(served.url("/good?token=s3cr3t"), None).unwrap();
    assert!(upload.from.as_ref().unwrap().ends_with("/good"));
    succeeded(&client, &client.run(upload.run.as_ref().unwrap()).unwrap());
    let upload = client.upload(&upload.id).unwrap();
    assert_eq!((upload.is_whole, upload.offset), (true, bytes.len() as u64));
    succeeded(&client, &client.import_upload(&upload.id, &NewImport::default()).unwrap());
    assert!(!told(&lab, &client).contains("s3cr3t"));
    let failed = |path: &str, sha256: Option<&str>| {
        let url = if path.starts_with("http") { path.to_owned() } else { served.url(path) };
        let upload = fetch(url, sha256.map(str::to_owned)).unwrap();
        let run = ended(&client, &client.run(upload.run.as_ref().unwrap()).unwrap());
        assert_eq!(run.state, RunState::Failed, "{path}: {run:?}");
        assert!(!client.upload(&upload.id).unwrap().is_whole);
        let early = client.import_upload(&upload.id, &NewImport::default()).unwrap_err();
        assert_eq!(early.kind(), ErrorKind::Locked);
        client.delete_upload(&upload.id).unwrap();
        run.cause.unwrap()
    };
    let here = format!("http://{}/secret", inside.local_addr().unwrap());
    for path in ["/inside", "/mapped", &here] {
        let cause = failed(path, None);
        assert!(cause.contains("no public address"), "{path}: {cause}");
    }
    failed("/file", None);
    failed("/round", None);
    failed("/none", None);
    for path in ["/large", "/endless"] {
        let cause = failed(path, None);
        assert!(cause.contains("`uploads.most`"), "{path}: {cause}");
    }
    failed("/short", None);
    assert!(failed("/good", Some(&"0".repeat(64))).contains("SHA-256"));
    for url in ["file:///etc/passwd", "http://u:p@127.0.0.2/x", "gopher://x/"] {
        let refused = fetch(url.to_owned(), None).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{url}");
    }
    inside.set_nonblocking(true).unwrap();
    assert!(inside.accept().is_err(), "nobody came to what is inside");
}
