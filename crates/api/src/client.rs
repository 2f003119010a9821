//! The typed client: one method for each operation, errors as the manager told them.

mod transfers;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tintype_model::identifier::Id;
use tintype_model::{Error, ErrorKind, Result};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::request::Builder;
use ureq::http::{HeaderMap, Method, Request, StatusCode, header};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::agent::{
    AgentState, Discovered, Join, JoinToken, Joined, NewJoinToken, Renew, SERVER_NAME,
};
use crate::audit::{AuditCheck, AuditEntry};
use crate::connector::Tried;
use crate::content::{
    DiffQuery, Differences, EntryQuery, Listing, Partition, Preview, SearchQuery, SearchResult,
    Versions, VersionsQuery,
};
use crate::events::Events;
use crate::key::{KeySlot, KeysQuery, NewKeySlot};
use crate::login::{LoggedIn, Login, Session, Who};
pub use crate::noun::Noun;
use crate::object::{ChangedObject, NewObject, Object};
use crate::page::Page;
use crate::problem::{Code, MEDIA_TYPE, Problem};
use crate::profile::{NewPreview, ProfileReading, ProfileSpec, RetentionPreview};
use crate::resource::{NewTrial, Trial};
use crate::restore::{ApplyRestore, NewRestore, Restore, RestorePlan};
use crate::run::{LogLine, Run};
use crate::snapshot::{ChangedSnapshot, NewSnapshot, Snapshot, SnapshotItem, SnapshotQuery};
use crate::storage::StorageState;
use crate::token::{MadeToken, TokenSpec};
use crate::user::{NewPassword, NewUser, UserSpec};
use crate::work::{AskWork, Work, WorkDone, WorkHeard, WorkProgress};

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_mins(1);
/// Of an answer.
const MOST_BYTES: u64 = 64 << 20;

/// What was read, by path: its `ETag`, and the text.
type Remembered = BTreeMap<String, (String, String)>;

/// One manager, and as whom one speaks to it.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    /// `https://host:port`
    base: String,
    bearer: Option<String>,
    /// None: nothing is remembered.
    remembered: Option<Arc<Mutex<Remembered>>>,
    /// An answer may take so long to begin.
    patience: Duration,
}

/// What a manager answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

/// What is downloaded, as it comes.
pub struct Incoming {
    /// Of all of it.
    pub size_bytes: u64,
    /// Where what comes begins.
    pub from: u64,
    /// The same only for the same bytes.
    pub tag: String,
    /// What is wrong with it.
    pub problem: Option<String>,
    pub body: Box<dyn Read + Send>,
}

/// How an agent is known, and what it trusts.
pub struct Identity<'i> {
    /// DER: of the authority of the manager's agents.
    pub authority: &'i [u8],
    /// Certificate and private key (PEM); none before it has joined.
    pub own: Option<(&'i str, &'i str)>,
}

/// The manager is where it is told, whatever it is called.
#[derive(Debug)]
struct Fixed(ureq::http::Uri);

impl Resolver for Fixed {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        DefaultResolver::default().resolve(&self.0, config, timeout)
    }
}

impl Client {
    /// As an agent, to the manager at `address` (`host:port`): the manager shows that it is the one
    /// whose authority is pinned, and neither names nor other authorities count.
    pub fn of_agent(address: &str, identity: &Identity<'_>) -> Result<Self> {
        let wrong = |error: &dyn std::fmt::Display| {
            Error::invalid(format!("{address} is no address like host:8443: {error}"))
        };
        let uri: ureq::http::Uri =
            format!("https://{address}").parse().map_err(|error| wrong(&error))?;
        let port = uri.port_u16().ok_or_else(|| wrong(&"it has no port"))?;
        let own = identity.own.map(|(certificate, key)| {
            let broken = |error| Error::invalid(format!("the agent's identity: {error}"));
            let certificate = Certificate::from_pem(certificate.as_bytes()).map_err(broken)?;
            let key = PrivateKey::from_pem(key.as_bytes()).map_err(broken)?;
            Ok(ClientCert::new_with_certs(&[certificate], key))
        });
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[
                Certificate::from_der(identity.authority).to_owned()
            ]))
            .client_cert(own.transpose()?)
            .unversioned_rustls_crypto_provider(provider())
            .build();
        // A proxy would not know the name that stands for every manager.
        let config = config(tls).proxy(None).build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), Fixed(uri));
        Ok(Self {
            agent,
            base: format!("https://{SERVER_NAME}:{port}"),
            bearer: None,
            remembered: None,
            patience: ANSWER,
        })
    }

    /// `authority`: the certificate (PEM) that signed the manager's; none: those of the system.
    pub fn new(url: &str, authority: Option<&[u8]>, bearer: Option<String>) -> Result<Self> {
        let base = url.trim_end_matches('/').to_owned();
        if !base.starts_with("https://") {
            return Err(Error::invalid(format!(
                "{base}: the manager's address begins with https://"
            )));
        }
        let tls = TlsConfig::builder()
            .root_certs(roots(authority)?)
            .unversioned_rustls_crypto_provider(provider())
            .build();
        let config = config(tls).build();
        Ok(Self { agent: config.into(), base, bearer, remembered: None, patience: ANSWER })
    }

    #[must_use]
    pub fn with_bearer(&self, bearer: impl Into<String>) -> Self {
        Self { bearer: Some(bearer.into()), ..self.clone() }
    }

    /// For whoever asks for the same again and again: what has not changed is not sent again.
    #[must_use]
    pub fn remembering(&self) -> Self {
        Self { remembered: Some(Arc::default()), ..self.clone() }
    }

    /// For what takes longer than usual answers do.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    pub fn login(&self, login: &Login) -> Result<LoggedIn> {
        self.send(Method::POST, "/login", Some(login), None)
    }

    pub fn logout(&self) -> Result<()> {
        self.send_nothing(Method::POST, "/logout", None::<&()>, None)
    }

    pub fn whoami(&self) -> Result<Who> {
        self.get("/whoami")
    }

    pub fn sessions(&self) -> Result<Page<Session>> {
        self.get("/sessions")
    }

    pub fn end_session(&self, id: &Id) -> Result<()> {
        self.send_nothing(Method::DELETE, &format!("/sessions/{id}"), None::<&()>, None)
    }

    /// All of them, page by page.
    pub fn list<S: Noun>(&self) -> Result<Vec<Object<S>>> {
        self.all(S::PATH)
    }

    /// Page by page.
    fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: Page<T> = self.get(&format!("{path}?limit=1000{cursor}"))?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    pub fn object<S: Noun>(&self, id: &Id) -> Result<Object<S>> {
        self.get(&format!("{}/{id}", S::PATH))
    }

    pub fn create<S: Noun>(&self, new: &NewObject<S>) -> Result<Object<S>> {
        self.send(Method::POST, S::PATH, Some(new), None)
    }

    /// Profiles to begin with, which the manager does not have yet.
    pub fn ready_made_profiles(&self, time_zone: &str) -> Result<Vec<NewObject<ProfileSpec>>> {
        let query = serde_json::json!({ "time_zone": time_zone });
        let page: Page<_> = self.get(&with_query("/profiles/ready-made", &query)?)?;
        Ok(page.items)
    }

    pub fn create_user(&self, new: &NewUser) -> Result<Object<UserSpec>> {
        self.send(Method::POST, "/users", Some(new), None)
    }

    pub fn create_token(&self, new: &NewObject<TokenSpec>) -> Result<MadeToken> {
        self.send(Method::POST, "/tokens", Some(new), None)
    }

    /// Only if it has that version still.
    pub fn change<S: Noun>(
        &self,
        id: &Id,
        version: Option<i64>,
        changed: &ChangedObject<S>,
    ) -> Result<Object<S>> {
        self.send(Method::PATCH, &format!("{}/{id}", S::PATH), Some(changed), version)
    }

    pub fn delete<S: Noun>(&self, id: &Id) -> Result<()> {
        self.send_nothing(Method::DELETE, &format!("{}/{id}", S::PATH), None::<&()>, None)
    }

    pub fn set_password(&self, user: &Id, new: &NewPassword) -> Result<()> {
        self.send_nothing(Method::PUT, &format!("/users/{user}/password"), Some(new), None)
    }

    /// Queues a snapshot.
    pub fn snapshot(&self, new: &NewSnapshot) -> Result<Run> {
        self.send(Method::POST, "/snapshots", Some(new), None)
    }

    pub fn change_snapshot(&self, id: &str, changed: &ChangedSnapshot) -> Result<Snapshot> {
        self.send(Method::PATCH, &format!("/snapshots/{id}"), Some(changed), None)
    }

    pub fn delete_snapshot(&self, id: &str) -> Result<()> {
        self.send_nothing(Method::DELETE, &format!("/snapshots/{id}"), None::<&()>, None)
    }

    /// One page of them.
    pub fn snapshots(&self, query: &SnapshotQuery) -> Result<Page<Snapshot>> {
        self.get(&with_query("/snapshots", query)?)
    }

    pub fn snapshot_items(&self, id: &str) -> Result<Vec<SnapshotItem>> {
        self.get(&format!("/snapshots/{id}/items"))
    }

    pub fn tree(&self, id: &str, query: &EntryQuery) -> Result<Listing> {
        self.get(&with_query(&format!("/snapshots/{id}/tree"), query)?)
    }

    pub fn partitions(&self, id: &str, query: &EntryQuery) -> Result<Vec<Partition>> {
        self.get(&with_query(&format!("/snapshots/{id}/partitions"), query)?)
    }

    pub fn search(&self, id: &str, query: &SearchQuery) -> Result<SearchResult> {
        self.get(&with_query(&format!("/snapshots/{id}/search"), query)?)
    }

    pub fn versions(&self, query: &VersionsQuery) -> Result<Versions> {
        self.get(&with_query("/versions", query)?)
    }

    pub fn diff(&self, query: &DiffQuery) -> Result<Differences> {
        self.get(&with_query("/diff", query)?)
    }

    pub fn preview(&self, id: &str, query: &EntryQuery) -> Result<Preview> {
        self.get(&with_query(&format!("/snapshots/{id}/preview"), query)?)
    }

    /// A file of a snapshot; see [`Client::download`].
    pub fn file(
        &self,
        id: &str,
        query: &EntryQuery,
        from: u64,
        tag: Option<&str>,
    ) -> Result<Incoming> {
        self.download(&with_query(&format!("/snapshots/{id}/file"), query)?, from, tag)
    }

    /// These bytes of what can be downloaded there; they are held in memory.
    pub fn bytes(&self, path: &str, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
        let last = range.end.saturating_sub(1);
        let request = self.request("GET", path);
        let request = request.header(header::RANGE, format!("bytes={}-{last}", range.start));
        let request = request.body(()).map_err(|error| Error::invalid(error.to_string()))?;
        let mut incoming = self.incoming(request, range.start)?;
        let mut bytes = Vec::new();
        let read = incoming.body.read_to_end(&mut bytes);
        read.map_err(|error| self.failed(&error))?;
        Ok(bytes)
    }

    /// From that byte on, if it is that of `tag` still; else from the beginning.
    pub fn download(&self, path: &str, from: u64, tag: Option<&str>) -> Result<Incoming> {
        let mut request = self.request("GET", path);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
            request = request.header(header::IF_RANGE, format!("\"{}\"", tag.unwrap_or_default()));
        }
        let request = request.body(()).map_err(|error| Error::invalid(error.to_string()))?;
        self.incoming(request, from)
    }

    fn incoming(&self, request: Request<()>, from: u64) -> Result<Incoming> {
        let answer = self.agent.run(request).map_err(|error| self.failed(&error))?;
        if !answer.status().is_success() {
            return Err(self.refused(&self.answer(answer)?));
        }
        let (parts, body) = answer.into_parts();
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let strange = || Error::unsupported(format!("{}: is it a Tintype?", self.base));
        let length: u64 =
            text("content-length").and_then(|text| text.parse().ok()).ok_or_else(strange)?;
        let from = match parts.status {
            StatusCode::PARTIAL_CONTENT => from,
            _ => 0,
        };
        Ok(Incoming {
            size_bytes: from + length,
            from,
            tag: text("etag").ok_or_else(strange)?.trim_matches('"').to_owned(),
            problem: text("tintype-problem").map(str::to_owned),
            body: Box::new(body.into_with_config().limit(u64::MAX).reader()),
        })
    }

    /// Plans a restore.
    pub fn plan_restore(&self, new: &NewRestore) -> Result<RestorePlan> {
        self.send(Method::POST, "/restores", Some(new), None)
    }

    /// Carries a plan out.
    pub fn apply_restore(&self, run: &Id, confirm: Option<&str>) -> Result<Run> {
        let agreed = ApplyRestore { confirm: confirm.map(str::to_owned) };
        self.send(Method::POST, &format!("/restores/{run}/apply"), Some(&agreed), None)
    }

    /// Newest first; at most `limit`.
    pub fn restores(&self, limit: u32) -> Result<Page<Restore>> {
        self.get(&format!("/restores?limit={limit}"))
    }

    pub fn restore(&self, id: &Id) -> Result<Restore> {
        self.get(&format!("/restores/{id}"))
    }

    /// What it will do, does or did, as it was shown.
    pub fn restore_plan(&self, id: &Id) -> Result<RestorePlan> {
        self.get(&format!("/restores/{id}/plan"))
    }

    /// Goes on with one that was interrupted.
    pub fn resume_restore(&self, id: &Id) -> Result<Run> {
        self.send(Method::POST, &format!("/restores/{id}/resume"), None::<&()>, None)
    }

    /// Takes back one that was interrupted.
    pub fn undo_restore(&self, id: &Id) -> Result<Run> {
        self.send(Method::POST, &format!("/restores/{id}/undo"), None::<&()>, None)
    }

    pub fn run(&self, id: &Id) -> Result<Run> {
        self.get(&format!("/runs/{id}"))
    }

    /// What it said after line `after`.
    pub fn run_log(&self, id: &Id, after: i64) -> Result<Vec<LogLine>> {
        self.get(&format!("/runs/{id}/log?after={after}&limit=1000"))
    }

    pub fn cancel_run(&self, id: &Id) -> Result<Run> {
        self.send(Method::POST, &format!("/runs/{id}/cancel"), None::<&()>, None)
    }

    pub fn check_storage(&self, id: &Id) -> Result<StorageState> {
        self.send(Method::POST, &format!("/storages/{id}/check"), None::<&()>, None)
    }

    /// Tries it out now.
    pub fn check_connector(&self, id: &Id) -> Result<Tried> {
        self.send(Method::POST, &format!("/connectors/{id}/check"), None::<&()>, None)
    }

    /// Copies what is missing, now.
    pub fn run_sync(&self, id: &Id) -> Result<Run> {
        self.send(Method::POST, &format!("/syncs/{id}/run"), None::<&()>, None)
    }

    pub fn agent_state(&self, id: &Id) -> Result<AgentState> {
        self.get(&format!("/agents/{id}/state"))
    }

    pub fn create_join_token(&self, new: &NewJoinToken) -> Result<JoinToken> {
        self.send(Method::POST, "/agents/tokens", Some(new), None)
    }

    /// What runs on the agent's host and can be protected.
    pub fn discover(&self, agent: &Id) -> Result<Discovered> {
        self.send(Method::POST, &format!("/agents/{agent}/discover"), None::<&()>, None)
    }

    /// What runs on the manager's own host and can be protected.
    pub fn discover_here(&self) -> Result<Discovered> {
        self.send(Method::POST, "/resources/discover", None::<&()>, None)
    }

    /// As an agent.
    pub fn join(&self, join: &Join) -> Result<Joined> {
        self.send(Method::POST, "/agents/join", Some(join), None)
    }

    /// As an agent.
    pub fn renew(&self, renew: &Renew) -> Result<Joined> {
        self.send(Method::POST, "/agents/renew", Some(renew), None)
    }

    /// As an agent.
    pub fn work(&self, ask: &AskWork) -> Result<Work> {
        self.send(Method::POST, "/agents/work", Some(ask), None)
    }

    /// As an agent.
    pub fn work_progress(&self, id: &str, progress: &WorkProgress) -> Result<WorkHeard> {
        self.send(Method::POST, &format!("/agents/work/{id}/progress"), Some(progress), None)
    }

    /// As an agent.
    pub fn work_done(&self, id: &str, done: &WorkDone) -> Result<WorkHeard> {
        self.send(Method::POST, &format!("/agents/work/{id}/done"), Some(done), None)
    }

    pub fn read_profile(&self, profile: &ProfileSpec) -> Result<ProfileReading> {
        self.send(Method::POST, "/profiles/read", Some(profile), None)
    }

    /// What a changed profile would do to what it took.
    pub fn preview_profile(&self, new: &NewPreview) -> Result<RetentionPreview> {
        self.send(Method::POST, "/profiles/preview", Some(new), None)
    }

    /// Runs a hook of a resource, by its number.
    /// It is waited for as long as the hook may take: see [`Client::with_patience`].
    pub fn try_hook(&self, resource: &Id, hook: usize) -> Result<Trial> {
        let new = NewTrial { hook };
        self.send(Method::POST, &format!("/resources/{resource}/hooks/try"), Some(&new), None)
    }

    /// What opens the repository of a tenant in a storage.
    pub fn keys(&self, storage: &Id, query: &KeysQuery) -> Result<Vec<KeySlot>> {
        self.get(&with_query(&format!("/storages/{storage}/keys"), query)?)
    }

    pub fn add_key(&self, storage: &Id, query: &KeysQuery, new: &NewKeySlot) -> Result<KeySlot> {
        let path = with_query(&format!("/storages/{storage}/keys"), query)?;
        self.send(Method::POST, &path, Some(new), None)
    }

    pub fn remove_key(&self, storage: &Id, query: &KeysQuery, slot: &str) -> Result<()> {
        let path = with_query(&format!("/storages/{storage}/keys/{slot}"), query)?;
        self.send_nothing(Method::DELETE, &path, None::<&()>, None)
    }

    /// Newest first; at most `limit`.
    pub fn audit(&self, limit: u32) -> Result<Page<AuditEntry>> {
        self.get(&format!("/audit?limit={limit}"))
    }

    pub fn check_audit(&self) -> Result<AuditCheck> {
        self.get("/audit/check")
    }

    /// Any `GET`, for what has no method of its own.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let Some(remembered) = &self.remembered else {
            return self.send(Method::GET, path, None::<&()>, None);
        };
        let known = held(remembered).get(path).cloned();
        let tag = known.as_ref().map(|(tag, _)| (header::IF_NONE_MATCH.as_str(), &tag[..]));
        let answer = self.exchange_with("GET", path, None, tag.as_slice())?;
        if let Some((_, text)) = known.filter(|_| answer.status == StatusCode::NOT_MODIFIED) {
            return self.parsed(path, &text);
        }
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        let tag = answer.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
        if let Some(tag) = tag {
            held(remembered).insert(path.to_owned(), (tag.to_owned(), answer.text.clone()));
        }
        self.parsed(path, &answer.text)
    }

    /// What the manager tells of a run, as it tells it.
    pub fn run_events(&self, id: &Id) -> Result<Events> {
        self.events(&format!("/runs/{id}/events"))
    }

    pub(crate) fn events(&self, path: &str) -> Result<Events> {
        let request = self.request("GET", path);
        let request = request.body(()).map_err(|error| Error::invalid(error.to_string()))?;
        let answer = self.agent.run(request).map_err(|error| self.failed(&error))?;
        if !answer.status().is_success() {
            return Err(self.refused(&self.answer(answer)?));
        }
        let body = answer.into_body().into_with_config().limit(u64::MAX).reader();
        Ok(Events { base: self.base.clone(), lines: BufReader::new(Box::new(body)), last_id: None })
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        version: Option<i64>,
    ) -> Result<T> {
        let text = self.call(method, path, body, version)?;
        self.parsed(path, &text)
    }

    fn parsed<T: DeserializeOwned>(&self, path: &str, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|error| {
            Error::unsupported(format!(
                "{}: the answer to {path} is not understood ({error}); is it a Tintype of this \
                 version?",
                self.base
            ))
        })
    }

    fn send_nothing(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        version: Option<i64>,
    ) -> Result<()> {
        self.call(method, path, body, version).map(drop)
    }

    fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        version: Option<i64>,
    ) -> Result<String> {
        let body = body.map(serde_json::to_value).transpose();
        let body = body.map_err(|error| Error::internal(error.to_string()))?;
        let answer = self.exchange(method.as_str(), path, body.as_ref(), version)?;
        if answer.status.is_success() {
            return Ok(answer.text);
        }
        Err(self.refused(&answer))
    }

    /// Any request; `path` is below [`crate::ROOT`].
    pub fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        version: Option<i64>,
    ) -> Result<Answer> {
        let version = version.map(|version| format!("\"{version}\""));
        let version = version.as_deref().map(|version| (header::IF_MATCH.as_str(), version));
        self.exchange_with(method, path, body, version.as_slice())
    }

    /// The same, with more headers.
    pub fn exchange_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut request = self.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(text).map_err(|error| Error::invalid(error.to_string()))?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_recv_response(Some(self.patience)).build();
        let answer = self.agent.run(request).map_err(|error| self.failed(&error))?;
        self.answer(answer)
    }

    fn answer(&self, answer: ureq::http::Response<ureq::Body>) -> Result<Answer> {
        let (parts, mut body) = answer.into_parts();
        let bytes = body.with_config().limit(MOST_BYTES).read_to_vec();
        let bytes = bytes.map_err(|error| self.failed(&error))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { status: parts.status, headers: parts.headers, text })
    }

    fn understood<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T> {
        if !answer.status.is_success() {
            return Err(self.refused(answer));
        }
        let base = &self.base;
        serde_json::from_str(&answer.text).map_err(|error| {
            Error::unsupported(format!("{base}: its answer is not understood ({error})"))
        })
    }

    fn request(&self, method: &str, path: &str) -> Builder {
        let request = Request::builder().method(method);
        let request = request.uri(format!("{}{}{path}", self.base, crate::ROOT));
        match &self.bearer {
            Some(bearer) => request.header(header::AUTHORIZATION, format!("Bearer {bearer}")),
            None => request,
        }
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Error {
        Error::unavailable(format!("{}: {error}", self.base))
    }

    fn refused(&self, answer: &Answer) -> Error {
        let Answer { status, headers, text } = answer;
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let problem = kind.filter(|kind| kind.starts_with(MEDIA_TYPE));
        let problem = problem.and_then(|_| serde_json::from_str::<Problem>(text).ok());
        let Some(problem) = problem else {
            let base = &self.base;
            return Error::unavailable(format!("{base} answered {status}: is it a Tintype?"));
        };
        let cure = problem.cure.map_or_else(String::new, |cure| format!("; {cure}"));
        Error::new(kind_of(problem.code), format!("{}{cure}", problem.detail))
    }
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is whole at any moment.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds what is asked for.
pub(crate) fn with_query(path: &str, query: &impl Serialize) -> Result<String> {
    let fields = serde_json::to_value(query).map_err(|error| Error::internal(error.to_string()))?;
    let mut out = path.to_owned();
    for (name, value) in fields.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(name);
        out.push('=');
        for byte in text.bytes() {
            match byte {
                b'-' | b'.' | b'_' | b'~' | b'/' => out.push(byte as char),
                byte if byte.is_ascii_alphanumeric() => out.push(byte as char),
                byte => {
                    let _ = write!(out, "%{byte:02X}");
                }
            }
        }
    }
    Ok(out)
}

/// Those of the system, if none is given.
fn roots(authority: Option<&[u8]>) -> Result<RootCerts> {
    let Some(pem) = authority else { return Ok(RootCerts::PlatformVerifier) };
    let certificate = Certificate::from_pem(pem)
        .map_err(|error| Error::invalid(format!("the authority's certificate: {error}")))?;
    Ok(RootCerts::new_with_certs(&[certificate]))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn config(tls: TlsConfig) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .https_only(true)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(ANSWER))
        .tls_config(tls)
}

fn kind_of(code: Code) -> ErrorKind {
    match code {
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::AlreadyExists,
        Code::Locked | Code::Changed => ErrorKind::Locked,
        Code::LoginNeeded | Code::LoginRefused | Code::NotAllowed => ErrorKind::Denied,
        Code::TooManyAttempts | Code::Unavailable => ErrorKind::Unavailable,
        Code::NoSpace => ErrorKind::NoSpace,
        Code::Corrupt => ErrorKind::Corrupt,
        Code::Unsupported => ErrorKind::Unsupported,
        Code::Internal => ErrorKind::Internal,
        Code::BadRequest
        | Code::Invalid
        | Code::MethodNotAllowed
        | Code::TooLarge
        | Code::UnsupportedMediaType => ErrorKind::Invalid,
    }
}
