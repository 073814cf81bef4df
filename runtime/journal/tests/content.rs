//! The content store: whole or absent, each tenant its own, damage told.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests, and what they share")]

use std::sync::Arc;

use bytes::Bytes;
use mesh_journal::{
    FolderStore,
    files::{Files, SimFiles},
};
use mesh_kernel::{
    envelope::{TenantId, TenantScope},
    ports::{ContentError, ContentStore as _, Digest},
};

fn scope(tenant: &str) -> TenantScope {
    TenantScope::unproven(TenantId::parse(tenant).unwrap())
}

fn on(files: &SimFiles) -> FolderStore {
    let files = files.clone();
    FolderStore::open_on(move |_| Ok(Arc::new(files.clone())), 0)
}

#[tokio::test]
async fn a_body_is_read_back_by_its_tenant_and_by_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let body = Bytes::from(vec![7; 100_000]);
    let digest = {
        let store = FolderStore::open(folder.path(), 0);
        let digest = store.put(&scope("acme"), body.clone()).await.unwrap();
        assert_eq!(store.put(&scope("acme"), body.clone()).await.unwrap(), digest, "stored twice");
        digest
    };
    let store = FolderStore::open(folder.path(), 0);
    assert_eq!(digest, Digest::of(&body));
    assert_eq!(store.get(&scope("acme"), digest).await.unwrap(), body);
    let other = store.get(&scope("globex"), digest).await;
    assert!(matches!(other, Err(ContentError::NotFound(missing)) if missing == digest));
    // Whether another tenant has it makes no difference to what a put does or answers.
    assert_eq!(store.put(&scope("globex"), body.clone()).await.unwrap(), digest);
    assert_eq!(store.get(&scope("globex"), digest).await.unwrap(), body);
}

#[tokio::test]
async fn an_event_never_names_a_missing_body() {
    // Whatever was answered before the power went is there afterwards, at every operation.
    let body = Bytes::from(vec![9; 3000]);
    for nth in 1..20 {
        for seed in 0..8 {
            let files = SimFiles::new();
            files.power_off_at(nth);
            let answered = on(&files).put(&scope("acme"), body.clone()).await;
            files.crash(seed);
            let store = on(&files);
            let found = store.get(&scope("acme"), Digest::of(&body)).await;
            match (&answered, &found) {
                (_, Ok(found)) => assert_eq!(*found, body),
                (Ok(_), Err(error)) => panic!("operation {nth}, seed {seed}: {error}"),
                (Err(_), Err(error)) => assert!(
                    matches!(error, ContentError::NotFound(_)),
                    "operation {nth}, seed {seed}: half a body: {error}"
                ),
            }
            assert_eq!(store.put(&scope("acme"), body.clone()).await.unwrap(), Digest::of(&body));
            assert!(!files.list().unwrap().iter().any(|name| name.ends_with(".tmp")), "a leftover");
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_body_is_told() {
    let files = SimFiles::new();
    let store = on(&files);
    let digest = store.put(&scope("acme"), Bytes::from_static(b"a body")).await.unwrap();
    assert!(files.flip(&digest.hex(), 3, 5));
    let damaged = store.get(&scope("acme"), digest).await;
    assert!(matches!(damaged, Err(ContentError::Damaged(told)) if told == digest));
    // Storing it again mends it.
    store.put(&scope("acme"), Bytes::from_static(b"a body")).await.unwrap();
    assert_eq!(store.get(&scope("acme"), digest).await.unwrap(), Bytes::from_static(b"a body"));
}

#[tokio::test]
async fn a_full_disk_refuses_a_body_and_leaves_nothing() {
    let files = SimFiles::new();
    let store = on(&files);
    files.set_capacity(Some(1000));
    let full = store.put(&scope("acme"), Bytes::from(vec![1; 2000])).await;
    assert!(matches!(full, Err(ContentError::Full { bytes: 2000 })), "{full:?}");
    assert!(files.list().unwrap().is_empty());
    files.set_capacity(Some(5000));
    store.put(&scope("acme"), Bytes::from(vec![1; 2000])).await.unwrap();
}

#[tokio::test]
async fn of_an_erased_tenant_neither_bodies_nor_folder_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path(), 0);
    let scope = |tenant: &str| TenantScope::unproven(TenantId::parse(tenant).unwrap());
    let (ours, theirs) = (scope("acme"), scope("globex"));
    let digest = store.put(&ours, Bytes::from_static(b"a body")).await.unwrap();
    store.put(&theirs, Bytes::from_static(b"a body")).await.unwrap();
    let second = store.put(&theirs, Bytes::from_static(b"another")).await.unwrap();
    store.remove(&theirs, second).await.unwrap();
    store.remove(&theirs, second).await.unwrap();
    assert!(matches!(store.get(&theirs, second).await, Err(ContentError::NotFound(_))));
    for _ in 0..2 {
        store.erase(&theirs).await.unwrap();
        assert!(!folder.path().join("globex").exists());
    }
    assert!(matches!(store.get(&theirs, digest).await, Err(ContentError::NotFound(_))));
    assert_eq!(store.get(&ours, digest).await.unwrap(), "a body");
    store.put(&theirs, Bytes::from_static(b"a body")).await.unwrap();
}
