//! A stub of IAM and S3 over HTTP or HTTPS: the fakes of the tests, at a known distance.

use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use fakes::world::{Call, Cause};
use fakes::{OFFICE, Op, POLICY, Shared, World, gate, invoke, wire};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// How many versions of a policy add-ip leaves when it has pruned.
const PRUNED: u64 = 4;

/// How many versions IAM allows.
pub const FULL: u64 = 5;

/// How long a call takes.
#[derive(Clone, Copy, Debug)]
pub struct Distance {
    pub iam: Duration,
    pub s3: Duration,
}

impl Distance {
    pub const NONE: Self = Self::everywhere(Duration::ZERO);

    pub const fn everywhere(distance: Duration) -> Self {
        Self { iam: distance, s3: distance }
    }
}

/// An account with one policy and the member `alice`.
pub struct Aws {
    pub endpoint: String,
    world: Shared,
    server: JoinHandle<()>,
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A certificate of our own for `localhost`, with what a server needs to show it.
pub struct Certificate {
    pub pem: String,
    acceptor: TlsAcceptor,
}

impl Certificate {
    pub fn new() -> Result<Self, Box<dyn Error>> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        Ok(Self { pem: made.cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl Aws {
    /// Starts it, with the versions that add-ip leaves.
    pub async fn start(
        distance: Distance,
        certificate: Option<&Certificate>,
    ) -> Result<Self, Box<dyn Error>> {
        Self::start_with(distance, certificate, PRUNED).await
    }

    /// The same with so many versions.
    pub async fn start_with(
        distance: Distance,
        certificate: Option<&Certificate>,
        versions: u64,
    ) -> Result<Self, Box<dyn Error>> {
        // An account in which members have added before: a baseline is saved, and the lease has been given back with the
        // document that was last written.
        let document = gate(&[OFFICE], &["s3:Get*"]);
        let versions: Vec<_> = (1..=versions).map(|id| (id, document.clone())).collect();
        let mut world = World::with_policy(&versions);
        let (object, body) = invoke::member("alice");
        world.put(&object, &body);
        world.put("baseline/111122223333/policy/gate.json", &document);
        let ids: Vec<String> = versions.iter().map(|(id, _)| format!("v{id}")).collect();
        let written = world.now();
        let lease = json!({
            "nonce": null, "holder": "before", "kind": "add", "until": "", "cuts": 1,
            "targets": { POLICY: { "last": ids.last(), "last_at": written, "doc": document, "ids": ids } },
        });
        world.put("lease.json", &lease.to_string());
        let world = Shared::new(world);
        // Hundreds connect at once: a queue that overflows would cost them a second each.
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(4096)?;
        let port = listener.local_addr()?.port();
        let endpoint = match certificate {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let (shared, acceptor) =
            (world.clone(), certificate.map(|certificate| certificate.acceptor.clone()));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (world, acceptor) = (shared.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, world, distance).await;
                            }
                        }
                        None => serve(stream, world, distance).await,
                    }
                });
            }
        });
        Ok(Self { endpoint, world, server })
    }

    /// How many calls were made, and how many versions were written.
    pub fn counts(&self) -> (usize, usize) {
        let world = self.world.lock();
        let creates = world
            .calls
            .iter()
            .filter(|Call { op, .. }| matches!(op, Op::CreatePolicyVersion(..)))
            .count();
        (world.calls.len(), creates)
    }

    /// How many entries are in force, and how many versions there were at most.
    pub fn state(&self) -> (usize, usize) {
        let world = self.world.lock();
        let most = world.policies[POLICY].iter().filter(|moment| moment.cause != Cause::Start);
        (
            world.entries(POLICY).len(),
            most.map(|moment| moment.policy.versions.len()).max().unwrap_or_default(),
        )
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, world: Shared, distance: Distance) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let world = world.clone();
        async move { Ok::<_, Infallible>(answer(request, &world, distance).await) }
    });
    // A function that is killed breaks its connections off.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    world: &Shared,
    distance: Distance,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let request = HttpRequest::try_from(Request::from_parts(parts, SdkBody::from(bytes))).unwrap();
    let op = wire::read(&request);
    tokio::time::sleep(if op.is_s3() { distance.s3 } else { distance.iam }).await;
    let (reply, now) = {
        let mut world: std::sync::MutexGuard<'_, World> = world.lock();
        (world.apply(0, &op, 0), world.now())
    };
    let reply = wire::write(&op, &reply, now);
    let mut response =
        Response::new(Full::new(Bytes::copy_from_slice(reply.body().bytes().unwrap_or_default())));
    *response.status_mut() = http::StatusCode::from_u16(reply.status().as_u16()).unwrap();
    for (name, value) in reply.headers() {
        response
            .headers_mut()
            .insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    response
}
