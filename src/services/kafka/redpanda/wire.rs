//! One exchange of HTTP, over TLS or not. Nothing is followed, nothing is tried again, and no proxy is asked.

use crate::core::secret::Secret;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;
use zeroize::Zeroizing;

/// How long a connection may take, and its TLS.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a whole exchange may take. Redpanda itself gives a write 5 seconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer that is read: names of more users than one Redpanda has.
const LARGEST: usize = 16 << 20;

/// What is asked.
pub struct Question {
    pub method: Method,
    /// Path and query, percent-encoded.
    pub path: String,
    /// JSON. It may have a password in it, and is wiped.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// More headers than every request has.
    pub header: Option<(&'static str, &'static str)>,
}

impl Question {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, header: None }
    }

    pub fn named(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    /// Seconds to wait before it is tried again or followed.
    pub retry_after: Option<u64>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, and why.
    NotReached(String),
    /// The TLS did not come about, and why.
    Tls(String),
    /// The connection ended without a word.
    HungUp,
    /// What came is not HTTP.
    NoHttp,
    TooSlow,
    TooLong,
}

/// Asks one server. `authorization` is the whole value of that header.
///
/// # Errors
/// No whole answer came.
pub async fn exchange(
    tls: &TlsConnector,
    url: &Url,
    question: &Question,
    authorization: Option<&Secret>,
) -> Result<Answer, Failure> {
    let talk = async {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let connect = tokio::time::timeout(CONNECT, TcpStream::connect((host.as_str(), port)));
        let stream = match connect.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Failure::NotReached(error.to_string())),
            Err(_) => return Err(Failure::TooSlow),
        };
        let request = request(url, question, authorization)?;
        if url.scheme() != "https" {
            return send(TokioIo::new(stream), request).await;
        }
        let name = ServerName::try_from(host).map_err(|error| Failure::Tls(error.to_string()))?;
        match tokio::time::timeout(CONNECT, tls.connect(name, stream)).await {
            Ok(Ok(stream)) => send(TokioIo::new(stream), request).await,
            Ok(Err(error)) => Err(Failure::Tls(error.to_string())),
            Err(_) => Err(Failure::TooSlow),
        }
    };
    tokio::time::timeout(PATIENCE, talk).await.unwrap_or(Err(Failure::TooSlow))
}

fn request(url: &Url, question: &Question, authorization: Option<&Secret>) -> Result<Request<Full<Bytes>>, Failure> {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut request = Request::builder()
        .method(&question.method)
        .uri(&question.path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, "nornplan")
        .header(header::ACCEPT, "application/json");
    if let Some(value) = authorization {
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| Failure::NoHttp)?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    if let Some((name, value)) = question.header {
        request = request.header(name, value);
    }
    let body = match &question.body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Bytes::from_owner(body.clone())
        }
        None => Bytes::new(),
    };
    request.body(Full::new(body)).map_err(|_| Failure::NoHttp)
}

async fn send(
    stream: impl Read + Write + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Failure> {
    let failed = |error: hyper::Error| if error.is_parse() { Failure::NoHttp } else { Failure::HungUp };
    let (mut sender, connection) = http1::handshake(stream).await.map_err(failed)?;
    // It ends with this set at the latest: also when the caller stops waiting.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(failed)?;
    let status = answer.status().as_u16();
    let text = |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let location = text(header::LOCATION).map(str::to_owned);
    let retry_after = text(header::RETRY_AFTER).and_then(|value| value.trim().parse().ok());
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let body = body.map_err(|error| if error.is::<LengthLimitError>() { Failure::TooLong } else { Failure::HungUp })?;
    Ok(Answer { status, location, retry_after, body: body.to_bytes().to_vec() })
}
