//! The one HTTP client: TLS by ring, the machine's own trusted certificates, and proxies as the environment names them.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// A connector of our own, for a URL of the gate.
pub fn connector(url: &str) -> Connector {
    Connector::builder()
        .proxy_config(proxy(url))
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build()
}

/// The client of the AWS SDK.
pub fn for_aws() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
        let mut builder = Connector::builder()
            .proxy_config(proxy(&endpoint))
            .tls_provider(Provider::Rustls(CryptoMode::Ring));
        builder.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        builder.build()
    })
}

/// No proxy leads to this machine itself.
fn proxy(url: &str) -> ProxyConfig {
    let uri: Option<http::Uri> = url.parse().ok();
    if uri.is_some_and(|uri| uri.host().is_some_and(is_loopback)) {
        ProxyConfig::disabled()
    } else {
        ProxyConfig::from_env()
    }
}

/// Whether a host is this machine. Names under `localhost` are by RFC 6761.
pub fn is_loopback(host: &str) -> bool {
    let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    address.is_some_and(|address| address.is_loopback())
        || host == "localhost"
        || host.ends_with(".localhost")
}
