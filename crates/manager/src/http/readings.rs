//! Descriptions of resources as people write them: their schema, and what is wrong with one.

use axum::Json;
use axum::extract::State as AxumState;
use axum::http::header;
use axum::response::IntoResponse;
use tintype_api::problem::{Code, Problem};
use tintype_api::resource::{NewReading, ReadProblem, ReadResource, ResourceReading, ResourceSpec};
use tintype_model::Error;
use tintype_model::reading::plain;
use tintype_model::resource::{Kind, Resource, Resources};
use tintype_runner::vault;

use super::failure::{Failure, Outcome};
use super::input::Body;
use super::objects::tenant_of;
use super::router::Asking;
use crate::runs::snapshot::resources_of;
use crate::state::State;

const SCHEMA: &str = include_str!("../../../../docs/resources.schema.json");
/// Longer ones are for the command line.
const MOST_BYTES: usize = 1 << 20;

/// What a description of resources may hold, as JSON Schema: for editors.
#[utoipa::path(
    get, path = "/api/v1/resources/schema", operation_id = "get-resource-schema", tag = "resource",
    responses(
        (status = 200, body = serde_json::Value),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn schema(_: Asking) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], SCHEMA)
}

/// Reads a description (YAML; all JSON is YAML) of several resources, or of one. Nothing is changed:
/// what it gives is to be created one by one, applications last.
#[utoipa::path(
    post, path = "/api/v1/resources/read", operation_id = "read-resources", tag = "resource",
    request_body = NewReading,
    responses(
        (status = 200, body = ResourceReading),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn read(
    AxumState(state): AxumState<State>,
    caller: Asking,
    Body(new): Body<NewReading>,
) -> Outcome<Json<ResourceReading>> {
    let tenant = tenant_of(&state, &caller, new.tenant).await?;
    if new.text.len() > MOST_BYTES {
        return Err(Failure::new(Code::TooLarge, "a description has at most 1 MiB here")
            .cure("give it to `tintype resource apply`"));
    }
    let known = resources_of(&state, &tenant.id).await?;
    let known = known.iter().map(|known| known.spec.named(&known.name));
    Ok(Json(reading(&new.text, known.collect())))
}

/// `known` are there already: applications may name them.
fn reading(text: &str, known: Vec<Resource>) -> ResourceReading {
    let mut resources = match parsed(text) {
        Ok(resources) => resources,
        Err(problem) => {
            return ResourceReading { resources: Vec::new(), problems: vec![problem] };
        }
    };
    let mut problems: Vec<ReadProblem> = Vec::new();
    for resource in resources.iter().filter(|resource| resource.kind != Kind::Application) {
        if let Err(error) = vault::check_described(resource) {
            problems.push(at_resource(text, &error, &resource.name));
        }
    }
    let is_new = |one: &Resource| resources.iter().all(|resource| resource.name != one.name);
    let others = known.into_iter().filter(is_new);
    let all = Resources::new(resources.iter().cloned().chain(others).collect());
    if let Err(error) = all.check() {
        let told = error.message().to_owned();
        let words =
            || told.split(|letter: char| letter.is_whitespace() || ":,;\"".contains(letter));
        let of = resources.iter().find(|resource| words().any(|word| word == resource.name));
        problems.push(at_resource(text, &error, of.map_or("", |resource| &resource.name)));
    }
    if !problems.is_empty() {
        return ResourceReading { resources: Vec::new(), problems };
    }
    // An application names its components, which must be there before it.
    resources.sort_by_key(|resource| resource.kind == Kind::Application);
    let resources = resources.into_iter().map(|resource| ReadResource {
        name: resource.name.clone(),
        spec: ResourceSpec::from(resource),
    });
    ResourceReading { resources: resources.collect(), problems }
}

fn parsed(text: &str) -> Result<Vec<Resource>, ReadProblem> {
    let several = match serde_norway::from_str::<Resources>(text) {
        Ok(document) => return Ok(document.resources),
        Err(error) => error,
    };
    let is_one = serde_norway::from_str::<serde_json::Value>(text)
        .is_ok_and(|value| value.get("kind").is_some() && value.get("resources").is_none());
    let error = match is_one {
        true => match serde_norway::from_str::<Resource>(text) {
            Ok(one) => return Ok(vec![one]),
            Err(error) => error,
        },
        false => several,
    };
    let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
    // Where it is stands beside it.
    let told = error.to_string();
    let what = told.rsplit_once(" at line ").map_or(&told[..], |(what, _)| what);
    Err(ReadProblem { line: line as u64, column: column as u64, what: plain(what) })
}

/// Where the name of a resource stands; the beginning, where that is not seen.
fn at_resource(text: &str, error: &Error, name: &str) -> ReadProblem {
    let is_name = |line: &str| {
        let (_, value) = line.split_once("name:")?;
        let value = value.trim_start().trim_start_matches(['"', '\'']);
        let rest = value.strip_prefix(name)?;
        let ends = rest.starts_with(|next: char| " \t\"',}#".contains(next)) || rest.is_empty();
        ends.then(|| line.len() - value.len())
    };
    let mut lines = text.lines().enumerate();
    let found = lines.find_map(|(number, line)| Some((number, line, is_name(line)?)));
    let found = found.filter(|_| !name.is_empty());
    let (line, column) = found.map_or((1, 1), |(number, line, at)| {
        (number as u64 + 1, line[..at].chars().count() as u64 + 1)
    });
    ReadProblem { line, column, what: error.message().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "version: 1\nresources:\n- kind: application\n  name: shop\n  components:\n  \
        - resource: orders\n- kind: volume\n  name: orders\n  connector: files\n  at: { path: /srv }\n";

    fn known(name: &str) -> Vec<Resource> {
        let text = format!("kind: volume\nname: {name}\nconnector: files\nat: {{ path: /srv }}\n");
        parsed(&text).unwrap()
    }

    #[test]
    fn what_is_right_comes_in_the_order_in_which_it_is_created() {
        let found = reading(TWO, Vec::new());
        let names: Vec<&str> = found.resources.iter().map(|one| &one.name[..]).collect();
        assert_eq!((names, found.problems), (vec!["orders", "shop"], vec![]));
        let one = "kind: application\nname: shop\ncomponents: [{ resource: orders }]\n";
        assert_eq!(reading(one, known("orders")).resources.len(), 1, "it is there already");
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (text, line, column, what) in [
            ("version: 1\nresources: [\n", 3, 1, ""),
            ("version: 1\nresources:\n- kind: volumes\n  name: a\n", 3, 9, "not known here"),
            (
                "kind: volume\nname: a\nconnector: files\nat: { path: /srv }\nnope: 1\n",
                5,
                1,
                "nope",
            ),
            ("kind: volume\nname: \"a\"\nconnector: files\nat: { paht: /srv }\n", 2, 8, "paht"),
            (&TWO.replace("resource: orders", "resource: other")[..], 4, 9, "no resource other"),
            ("- just text\n", 1, 1, ""),
        ] {
            let found = reading(text, Vec::new());
            assert!(found.resources.is_empty(), "{text}");
            let problem = &found.problems[0];
            assert_eq!((problem.line, problem.column), (line, column), "{text}: {problem:?}");
            assert!(problem.what.contains(what), "{text}: {problem:?}");
            assert!(!problem.what.contains(" at line "), "{problem:?}");
        }
    }
}
