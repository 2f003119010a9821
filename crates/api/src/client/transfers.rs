//! Snapshots as files, out and in.

use tintype_model::identifier::Id;
use tintype_model::{Error, Result};
use ureq::http::{Method, header};

use super::{Client, Incoming, with_query};
use crate::bundle::{Bundle, NewBundle, NewImport, NewUpload, Secret, SecretsQuery, Upload};
use crate::run::Run;

impl Client {
    /// What a download would show that is likely to be secret.
    pub fn secrets(&self, snapshot: &str, path: &str) -> Result<Vec<Secret>> {
        let query = SecretsQuery { path: Some(path.to_owned()) };
        self.get(&with_query(&format!("/snapshots/{snapshot}/secrets"), &query)?)
    }

    /// Queues a bundle.
    pub fn create_bundle(&self, snapshot: &str, new: &NewBundle) -> Result<Bundle> {
        self.send(Method::POST, &format!("/snapshots/{snapshot}/bundles"), Some(new), None)
    }

    /// Those that are written, or wait to be downloaded; newest first.
    pub fn bundles(&self) -> Result<Vec<Bundle>> {
        self.all("/bundles")
    }

    pub fn bundle(&self, id: &Id) -> Result<Bundle> {
        self.get(&format!("/bundles/{id}"))
    }

    /// Its file; see [`Client::download`].
    pub fn bundle_content(&self, id: &Id, from: u64, tag: Option<&str>) -> Result<Incoming> {
        self.download(&format!("/bundles/{id}/content"), from, tag)
    }

    pub fn delete_bundle(&self, id: &Id) -> Result<()> {
        self.send_nothing(Method::DELETE, &format!("/bundles/{id}"), None::<&()>, None)
    }

    pub fn create_upload(&self, new: &NewUpload) -> Result<Upload> {
        self.send(Method::POST, "/uploads", Some(new), None)
    }

    /// Those that come, or wait to be imported; newest first.
    pub fn uploads(&self) -> Result<Vec<Upload>> {
        self.all("/uploads")
    }

    pub fn upload(&self, id: &Id) -> Result<Upload> {
        self.get(&format!("/uploads/{id}"))
    }

    /// The next piece; `offset` is where the one before ended.
    pub fn send_upload(&self, id: &Id, offset: u64, piece: &[u8]) -> Result<Upload> {
        let request = self.request("PUT", &format!("/uploads/{id}/content?offset={offset}"));
        let request = request.header(header::CONTENT_TYPE, "application/octet-stream");
        let request = request.body(piece).map_err(|error| Error::invalid(error.to_string()))?;
        let answer = self.agent.run(request).map_err(|error| self.failed(&error))?;
        self.understood(&self.answer(answer)?)
    }

    /// Queues a snapshot of an upload that is whole.
    pub fn import_upload(&self, id: &Id, new: &NewImport) -> Result<Run> {
        self.send(Method::POST, &format!("/uploads/{id}/import"), Some(new), None)
    }

    pub fn delete_upload(&self, id: &Id) -> Result<()> {
        self.send_nothing(Method::DELETE, &format!("/uploads/{id}"), None::<&()>, None)
    }
}
