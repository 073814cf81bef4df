//! A request as handlers see it.

use std::sync::Arc;

use axum::http::header;
use axum::http::request::Parts;
use rusqlite::TransactionBehavior;

use super::App;
use super::guard::text;
use crate::control::{Session, Via, members};
use crate::form::Input;
use crate::moment::Moment;
use crate::store::lock;
use crate::{Error, Product, Scope};

/// A request whose sender is known and whose body is read.
#[derive(Debug)]
pub struct Request {
    /// Name of its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// What was sent.
    pub input: Input,
    pub(crate) app: Arc<App>,
    pub(super) session: Option<Session>,
    params: Vec<(String, String)>,
    query: Vec<(String, String)>,
    cookies: String,
    host: String,
}

/// What a list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Words to find; empty finds all.
    pub search: String,
    /// Name of a state; empty means any.
    pub state: String,
    /// Which page, from 0.
    pub page: u32,
}

impl Filter {
    /// Rows of one page.
    pub const PAGE_LEN: u32 = 50;

    /// The pattern for `LIKE … ESCAPE '\'`.
    pub fn pattern(&self) -> String {
        let escaped = self.search.replace('\\', "\\\\");
        let escaped = escaped.replace('%', "\\%").replace('_', "\\_");
        format!("%{escaped}%")
    }

    /// Rows before the page.
    pub fn offset(&self) -> u32 {
        self.page.saturating_mul(Self::PAGE_LEN)
    }
}

impl Request {
    pub(super) fn new(app: Arc<App>, parts: &Parts, params: Vec<(String, String)>) -> Self {
        let header = |name: &str| text(&parts.headers, name).unwrap_or_default().to_owned();
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            input: Input::default(),
            app,
            session: None,
            params,
            query: form_urlencoded::parse(query.as_bytes())
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
            cookies: header(header::COOKIE.as_str()),
            host: header(header::HOST.as_str()),
        }
    }

    /// The product.
    pub fn product(&self) -> &'static Product {
        self.app.product
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        self.app.clock.now()
    }

    /// A parameter of the path; empty when the route has none of that name.
    pub fn param(&self, name: &str) -> &str {
        find(&self.params, name)
    }

    /// A parameter after the `?`; empty when absent.
    pub fn query(&self, name: &str) -> &str {
        find(&self.query, name)
    }

    /// What a list is asked for.
    pub fn filter(&self) -> Filter {
        Filter {
            search: self.query("q").trim().chars().take(200).collect(),
            state: self.query("state").to_owned(),
            page: self.query("page").parse().unwrap_or(0),
        }
    }

    /// Who is logged in.
    pub fn session(&self) -> Result<&Session, Error> {
        self.session.as_ref().ok_or(Error::LogInFirst)
    }

    /// Who is logged in, if anyone.
    pub fn visitor(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// The secret that forms of this session carry.
    pub fn csrf(&self) -> &str {
        match &self.session {
            Some(Session { via: Via::Cookie { csrf }, .. }) => csrf,
            _ => "",
        }
    }

    /// Works in the tenant's file as it is now.
    ///
    /// The tenant is that of who is logged in; there is no way to name another.
    pub fn read<T>(&self, work: impl FnOnce(&Scope<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.scoped(false, work)
    }

    /// Works in the tenant's file in one transaction, which is undone when the work fails.
    pub fn write<T>(&self, work: impl FnOnce(&Scope<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.scoped(true, work)
    }

    /// Whether whoever asks is a program.
    pub fn wants_json(&self) -> bool {
        self.path.starts_with("/api/") || self.path.ends_with("z") && self.path.len() < 9
    }

    /// The address of a path of this product, as the one who asks reaches it.
    pub fn absolute(&self, path: &str) -> String {
        let scheme = if self.app.https { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.host)
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let mut pairs = self.cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn scoped<T>(&self, change: bool, work: impl FnOnce(&Scope<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let session = self.session()?;
        let members = members(&self.app.store.control(), &session.tenant.id)?;
        let edition = self.product().edition(&session.tenant.edition);
        let file = self.app.store.tenant(&session.tenant.id, self.now())?;
        let mut db = lock(&file);
        let behaviour = if change { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
        let transaction = db.transaction_with_behavior(behaviour)?;
        let scope = Scope {
            db: &transaction,
            product: self.product(),
            who: &session.person,
            edition: edition.ok_or(Error::Internal("the product has no edition"))?,
            members: &members,
            now: self.now(),
        };
        let answer = work(&scope)?;
        transaction.commit()?;
        Ok(answer)
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    let mut pairs = pairs.iter();
    let pair = pairs.find(|(key, _)| key == name);
    pair.map_or("", |(_, value)| value.as_str())
}
