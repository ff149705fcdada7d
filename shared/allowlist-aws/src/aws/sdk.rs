//! The process's AWS settings as Lambda gives them: region, credentials, endpoints, and trusted
//! certificates.
//!
//! All of it comes from the environment. The SDK's own loader also looks for profiles, container and instance metadata,
//! none of which a function has, and starts a thread for it.

use aws_config::BehaviorVersion;
pub use aws_config::SdkConfig;
use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::region::ProvideRegion;
use aws_runtime::env_config::EnvConfigValue;
use aws_sdk_iam::config::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_types::os_shim_internal::Env;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Amazon's own root certificates, and the older Starfield one that some endpoints' chains still end in.
/// <https://www.amazontrust.com/repository/>
///
/// The functions trust only these, and they are in the binary. So a certificate that another
/// authority gives out by mistake cannot stand for AWS, and a cold start need not read and parse
/// the system's 140 certificates. The price: if Amazon signs its endpoints by a new root, somebody
/// must build the functions again or set `AWS_CA_BUNDLE`. The same is true for partitions and
/// endpoints of other authorities, and for a company's inspecting proxy.
const AMAZON_ROOTS: &str = include_str!("amazon-roots.pem");

/// Reads the settings, with the one HTTP client of the project.
///
/// # Errors
/// A sentence for the administrator: the certificate bundle that `AWS_CA_BUNDLE` or `SSL_CERT_FILE` names is not usable.
pub async fn load(variable: impl Fn(&str) -> Option<String>) -> Result<SdkConfig, String> {
    let set =
        |name: &str| variable(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .tls_context(trust(&variable)?)
        .build_https();
    let endpoints =
        Endpoints { env: Env::real(), ignored: set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") };
    Ok(SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(EnvironmentVariableRegionProvider::new().region().await)
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .http_client(UncheckedClient(http))
        .sleep_impl(TokioSleep::new())
        .use_fips(set("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(set("AWS_USE_DUALSTACK_ENDPOINT"))
        .service_config(endpoints)
        .build())
}

fn trust(variable: impl Fn(&str) -> Option<String>) -> Result<TlsContext, String> {
    let named = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"].into_iter().find_map(|name| {
        let path = variable(name).filter(|path| !path.is_empty())?;
        Some((name, path))
    });
    let roots = match named {
        None => AMAZON_ROOTS.as_bytes().to_vec(),
        Some((name, path)) => read_bundle(&path).map_err(|reason| {
            format!("{name} names `{path}`, which cannot be used ({reason}): name a file of certificates in PEM form")
        })?,
    };
    let store = TrustStore::empty().with_pem_certificate(roots);
    TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|e| format!("TLS cannot be set up: {e}"))
}

/// Reads a bundle and checks it, because the HTTP client panics if it is bad.
fn read_bundle(path: &str) -> Result<Vec<u8>, String> {
    let bundle = std::fs::read(path).map_err(|e| e.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bundle) {
        roots.add(certificate.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    }
    if roots.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(bundle) }
}

/// The HTTP client without its check of every SDK client's settings, which would read the trusted roots once for each of
/// them at start, only to throw them away again.
#[derive(Debug)]
struct UncheckedClient(SharedHttpClient);

impl HttpClient for UncheckedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }
}

/// `AWS_ENDPOINT_URL` and its forms for single services.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
#[derive(Debug)]
struct Endpoints {
    env: Env,
    ignored: bool,
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let value = EnvConfigValue::new().env(key.env()).service_id(key.service_id());
        value.load(&self.env, None).filter(|_| !self.ignored).map(|(url, _)| url.into_owned())
    }
}

/// The endpoint that is set for a service, if one is.
pub(super) fn endpoint(sdk: &SdkConfig, service: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    sdk.service_config()
        .and_then(|config| config.load_config(key))
        .or_else(|| sdk.endpoint_url().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use allowlist::document::sha256_hex;
    use base64::Engine as _;

    #[test]
    fn the_embedded_roots_are_the_ones_that_amazon_publishes() {
        let certificates = AMAZON_ROOTS
            .split("-----END CERTIFICATE-----")
            .filter_map(|part| part.split_once("-----BEGIN CERTIFICATE-----"));
        let fingerprint = |(_, text): (&str, &str)| {
            let text: String = text.split_whitespace().collect();
            sha256_hex(&base64::engine::general_purpose::STANDARD.decode(text).unwrap())
        };
        assert_eq!(
            certificates.map(fingerprint).collect::<Vec<_>>(),
            [
                "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
                "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
                "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
                "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
                "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
            ]
        );
    }

    #[tokio::test]
    async fn a_bundle_that_is_none_ends_the_start_with_one_sentence() {
        let broken =
            std::env::temp_dir().join(format!("ip-gate-broken-{}.pem", std::process::id()));
        std::fs::write(
            &broken,
            "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        let broken = broken.to_str().unwrap().to_owned();
        for (name, path) in [
            ("AWS_CA_BUNDLE", "/nowhere.pem"),
            ("SSL_CERT_FILE", "Cargo.toml"),
            ("AWS_CA_BUNDLE", &broken),
        ] {
            let error = load(|asked| (asked == name).then(|| path.to_owned())).await.unwrap_err();
            assert!(
                error.contains(name) && error.contains(path) && error.contains("cannot be used"),
                "{error}"
            );
        }
        std::fs::remove_file(&broken).unwrap();
        load(|name| (name == "AWS_CA_BUNDLE").then(String::new)).await.unwrap();
    }
}
