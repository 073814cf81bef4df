//! What a server says of a call's progress, in the order in which it says it.
//!
//! The library hands notifications and answers to tasks of their own, so a line of progress can come after the answer
//! that it was sent before. Here they are seen where the transport reads them, one after the other.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use rmcp::{
    RoleClient,
    model::{
        ClientRequest, GetMeta as _, JsonRpcMessage, ProgressNotificationParam, ProgressToken, ServerNotification,
    },
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};

use crate::logs::LogWriter;

/// Calls that one connection has under way.
pub(super) const CALLS_MAX: usize = 64;

/// Lines that are kept of a call until its log is known, which is a moment.
const EARLY_MAX: usize = 64;

/// Where the calls that are under way tell of their progress. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Mutex<HashMap<ProgressToken, Listens>>>);

enum Listens {
    /// The call is on its way, and what was said is kept for its log.
    Soon(Vec<String>),
    Now(LogWriter),
}

impl Progress {
    /// From now on what is said of this call goes to the log, after what was said already.
    pub(super) fn follow(&self, token: ProgressToken, log: LogWriter) {
        let mut all = self.0.lock();
        if let Some(Listens::Soon(lines)) = all.remove(&token) {
            lines.into_iter().for_each(|line| log.note(line));
        }
        all.insert(token, Listens::Now(log));
    }

    /// Nobody listens to this call any more.
    pub(super) fn forget(&self, token: &ProgressToken) {
        self.0.lock().remove(token);
    }

    fn sends(&self, token: ProgressToken) {
        let mut all = self.0.lock();
        if all.len() >= 2 * CALLS_MAX {
            // Calls that were given up before they were followed; a connection bears no more than its calls.
            all.retain(|_, listens| matches!(listens, Listens::Now(_)));
        }
        all.entry(token).or_insert_with(|| Listens::Soon(Vec::new()));
    }

    fn hear(&self, said: &ProgressNotificationParam) {
        let mut all = self.0.lock();
        let Some(listens) = all.get_mut(&said.progress_token) else { return };
        let of = said.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let line = said.message.clone().unwrap_or_else(|| format!("{}{of}", said.progress));
        match listens {
            Listens::Now(log) => log.note(line),
            Listens::Soon(lines) if lines.len() < EARLY_MAX => lines.push(line),
            Listens::Soon(_) => {}
        }
    }
}

/// A transport whose messages are seen in the order in which it reads them.
pub(super) struct InOrder<T> {
    transport: T,
    progress: Progress,
}

impl<T> InOrder<T> {
    pub(super) fn new(transport: T, progress: Progress) -> Self {
        Self { transport, progress }
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for InOrder<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if let JsonRpcMessage::Request(asked) = &message
            && matches!(asked.request, ClientRequest::CallToolRequest(_))
            && let Some(token) = asked.request.get_meta().get_progress_token()
        {
            self.progress.sends(token);
        }
        self.transport.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.transport.receive().await?;
        if let JsonRpcMessage::Notification(said) = &message
            && let ServerNotification::ProgressNotification(said) = &said.notification
        {
            self.progress.hear(&said.params);
        }
        Some(message)
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.transport.close().await
    }
}
