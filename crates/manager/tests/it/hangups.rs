//! Whoever asks, and does not wait for the answer.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tintype_api::client::Client;
use tintype_api::object::NewObject;
use tintype_api::snapshot::ChangedSnapshot;
use tintype_api::token::TokenSpec;
use tintype_api::user::UserSpec;
use tintype_model::ErrorKind;
use tintype_model::rights::Role;

use crate::lab::Lab;
use crate::snapshots::{partial, taken, volume};

/// A way to the manager that can break.
struct Way {
    url: String,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    fn to(url: &str) -> Self {
        let manager: SocketAddr = url.strip_prefix("https://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let open = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&open);
        // One connection is all that is needed.
        std::thread::spawn(move || {
            let near = listener.accept().unwrap().0;
            let far = TcpStream::connect(manager).unwrap();
            let ends = [(&near, &far), (&far, &near)];
            let ends = ends.map(|(a, b)| (a.try_clone().unwrap(), b.try_clone().unwrap()));
            all.lock().unwrap().extend([near, far]);
            for (from, to) in ends {
                std::thread::spawn(move || carry(from, to));
            }
        });
        Self { url, open }
    }

    fn breaks(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..read]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..600 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}: it did not");
}

#[test]
fn who_hung_up_and_asks_again_with_the_key_gets_the_one_answer() {
    let lab = Lab::sqlite();
    let administrator = lab.administrator();
    let spec = TokenSpec::new(Role::Administrator, None);
    let token = NewObject { name: "ci".into(), tenant: None, spec };
    let secret = administrator.create_token(&token).unwrap().secret;
    let new = json!({
        "name": "eve", "spec": { "role": "viewer" }, "password": "given by another",
    });
    let asks = |client: &Client| {
        client.exchange_with("POST", "/users", Some(&new), &[("idempotency-key", "once")])
    };
    // It is answered when a password was hashed, which waits for as long as is told here.
    let state = lab.state();
    let held = lab.block_on(state.passwords.acquire_many(2)).unwrap();
    let way = Way::to(&lab.url);
    let far = Client::new(&way.url, Some(&lab.authority), Some(secret.clone())).unwrap();
    let is_begun = || {
        lab.block_on(async {
            let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM answer");
            count.fetch_one(&mut *state.catalog.read().await.unwrap()).await.unwrap() == 1
        })
    };
    std::thread::scope(|threads| {
        let asked = threads.spawn(|| asks(&far));
        until("the request begins", is_begun);
        way.breaks();
        assert!(asked.join().unwrap().is_err(), "it got no answer");
    });
    let near = lab.nobody().with_bearer(secret);
    for _ in 0..20 {
        assert_eq!(asks(&near).unwrap().status, 409, "it is being answered");
    }
    drop(held);
    until("the first request ends", || asks(&near).unwrap().status != 409);
    let [one, two] = [asks(&near).unwrap(), asks(&near).unwrap()];
    assert_eq!((one.status.as_u16(), &one.text), (201, &two.text));
    let users = administrator.list::<UserSpec>().unwrap();
    assert_eq!(users.iter().filter(|user| user.name == "eve").count(), 1);
    let made: Value = serde_json::from_str(&one.text).unwrap();
    assert_eq!(made["name"], "eve");
    assert_eq!(Arc::strong_count(&state.changing), 1, "nothing goes on");
}

#[test]
fn what_a_repository_is_told_is_in_the_log_before_it_is_told() {
    let lab = Lab::sqlite();
    let client = lab.administrator();
    volume(&client, "files", &lab.data().join("files"));
    let snapshot = taken(&client, &partial(&["files"]));
    let hold = ChangedSnapshot { hold: Some("legal".into()), ..ChangedSnapshot::default() };
    client.change_snapshot(&snapshot.id, &hold).unwrap();
    assert_eq!(client.delete_snapshot(&snapshot.id).unwrap_err().kind(), ErrorKind::Locked);
    let release = ChangedSnapshot { release: Some("legal".into()), ..ChangedSnapshot::default() };
    client.change_snapshot(&snapshot.id, &release).unwrap();
    client.delete_snapshot(&snapshot.id).unwrap();
    let entries = client.audit(100).unwrap().items;
    let object = format!("snapshot {}", snapshot.id);
    let told: Vec<(&str, &str)> = entries
        .iter()
        .rev()
        .filter(|entry| entry.object == object)
        .map(|entry| (&*entry.action, &*entry.outcome))
        .collect();
    let (change, delete) = ("snapshot.change", "snapshot.delete");
    let want = [
        (change, "begun"),
        (change, "done"),
        (delete, "begun"),
        (delete, "failed"),
        (change, "begun"),
        (change, "done"),
        (delete, "begun"),
        (delete, "done"),
    ];
    assert_eq!(told, want);
}

#[test]
fn nobody_has_memory_here_who_is_not_known() {
    let lab = Lab::sqlite();
    let nobody = lab.nobody();
    let body = |bytes: usize| json!({ "user": "x".repeat(bytes), "password": "x" });
    let status = |path: &str, body: &Value| {
        nobody.exchange("POST", path, Some(body), None).unwrap().status.as_u16()
    };
    // What is too much for those who are known is not even looked at.
    assert_eq!(status("/snapshots", &body(5 << 20)), 401);
    assert_eq!(status("/agents/work", &body(5 << 20)), 401);
    assert_eq!(status("/login", &body(1 << 20)), 413);
    assert_eq!(status("/login", &body(1 << 10)), 401);
}
