//! The channel `smtp`, against a real mail server.

use super::mail_server::{MailServer, Manner};
use super::support::{OPEN_SUBJECT, PATIENCE, SECRET_SUBJECT, id, secret_file, telling};
use crate::alerts::smtp::Letter;
use crate::alerts::{Smtp, SmtpError, TlsBegins};
use aldis_control::Tlp;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

fn smtp(server: &MailServer, begin: TlsBegins) -> Smtp {
    Smtp {
        server: "localhost".to_owned(),
        port: server.port,
        begin,
        ca_file: server.ca_file.clone(),
        from: "aldis@cert.example".parse().unwrap(),
        to: None,
        login: None,
    }
}

fn letter() -> Letter {
    let text = telling(41).letter(Tlp::Green);
    let to = "ana@cert.example".parse().unwrap();
    Letter { to, subject: "EXERCISE FLASH: a message".to_owned(), text, id: "aldis.41.00".to_owned() }
}

async fn sent(smtp: &Smtp) -> Result<(), SmtpError> {
    let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    tokio::time::timeout(PATIENCE, smtp.send(&letter(), &id(), now)).await.expect("it ends in time")
}

async fn server(dir: &Path, manner: Manner, begin: TlsBegins) -> (MailServer, Smtp) {
    let server = MailServer::new(dir, manner, begin == TlsBegins::AfterCommand).await;
    let smtp = smtp(&server, begin);
    (server, smtp)
}

#[tokio::test]
async fn a_letter_is_taken_over_tls_from_the_first_byte_and_after_starttls() {
    for begin in [TlsBegins::AtOnce, TlsBegins::AfterCommand] {
        let dir = tempfile::tempdir().unwrap();
        let (server, mut smtp) = server(dir.path(), Manner::Takes, begin).await;
        smtp.login = Some(("aldis".to_owned(), secret_file(dir.path(), "the password\n")));
        sent(&smtp).await.unwrap();
        let heard = server.heard();
        for part in [
            "EHLO cert.br",
            "AUTH PLAIN",
            "MAIL FROM:<aldis@cert.example>",
            "RCPT TO:<ana@cert.example>",
            "Subject: EXERCISE FLASH: a message",
            "Message-ID: <aldis.41.00@cert.br>",
            "Auto-Submitted: auto-generated",
            OPEN_SUBJECT,
            "QUIT",
        ] {
            assert!(heard.contains(part), "{part} is missing: {heard}");
        }
        assert!(!heard.contains(SECRET_SUBJECT), "{heard}");
        assert_eq!(heard.matches("STARTTLS").count(), usize::from(begin == TlsBegins::AfterCommand));
    }
}

#[tokio::test]
async fn a_server_that_refuses_closes_or_forgets_has_reached_nobody() {
    for (manner, begin, what) in [
        (Manner::RejectsRecipient, TlsBegins::AtOnce, "nobody of that name"),
        (Manner::DropsLetter, TlsBegins::AtOnce, "the letter"),
        (Manner::Closes, TlsBegins::AtOnce, "no TLS 1.3 connection"),
        (Manner::Closes, TlsBegins::AfterCommand, "broke before TLS"),
        (Manner::NoStartTls, TlsBegins::AfterCommand, "offers no STARTTLS"),
        (Manner::Floods, TlsBegins::AtOnce, "more than a mail server has to say"),
        (Manner::Floods, TlsBegins::AfterCommand, "more than 4096 bytes before TLS"),
        (Manner::Injects, TlsBegins::AfterCommand, "no TLS 1.3 connection"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (server, smtp) = server(dir.path(), manner, begin).await;
        let error = sent(&smtp).await.unwrap_err().to_string();
        assert!(error.contains(what), "{manner:?}: {error}");
        let text_left = manner == Manner::DropsLetter;
        assert_eq!(server.heard().contains("Alert 41"), text_left, "{manner:?}: {}", server.heard());
    }
}

#[tokio::test]
async fn nothing_but_a_greeting_is_ever_said_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    for manner in [Manner::NoStartTls, Manner::Injects] {
        let (server, mut smtp) = server(dir.path(), manner, TlsBegins::AfterCommand).await;
        smtp.login = Some(("aldis".to_owned(), secret_file(dir.path(), "the password\n")));
        sent(&smtp).await.unwrap_err();
        let heard = server.heard();
        assert!(heard.starts_with("EHLO cert.br\r\n") && !heard.contains("AUTH") && !heard.contains("MAIL"), "{heard}");
    }
}

#[tokio::test]
async fn a_login_that_is_refused_says_so_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, mut smtp) = server(dir.path(), Manner::RejectsLogin, TlsBegins::AtOnce).await;
    smtp.login = Some(("aldis".to_owned(), secret_file(dir.path(), "the password\n")));
    let error = sent(&smtp).await.unwrap_err().to_string();
    assert!(error.contains("the login") && error.contains("\\u{1b}[31mentry"), "{error}");
    smtp.login = Some(("aldis".to_owned(), dir.path().join("gone")));
    assert!(matches!(sent(&smtp).await, Err(SmtpError::File(_))));
}

#[tokio::test]
async fn a_server_that_hangs_is_left_when_the_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    for begin in [TlsBegins::AtOnce, TlsBegins::AfterCommand] {
        let (_server, smtp) = server(dir.path(), Manner::Hangs, begin).await;
        let letter = letter();
        let (id, now) = (id(), UNIX_EPOCH);
        let limited = tokio::time::timeout(Duration::from_millis(200), smtp.send(&letter, &id, now));
        assert!(limited.await.is_err());
    }
}

#[tokio::test]
async fn a_probe_logs_in_and_sends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (server, mut smtp) = server(dir.path(), Manner::Takes, TlsBegins::AfterCommand).await;
    smtp.login = Some(("aldis".to_owned(), secret_file(dir.path(), "the password\n")));
    smtp.probe(&id()).await.unwrap();
    let heard = server.heard();
    assert!(heard.contains("AUTH PLAIN") && heard.contains("NOOP") && !heard.contains("MAIL FROM"), "{heard}");
}
