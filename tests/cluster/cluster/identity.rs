//! Who is who in the cluster: certificates, and the kubeconfig of each client.

use std::fs;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use super::control::API_SERVER;

/// The cluster's certificate authority and the directory of all certificates.
pub(crate) struct Authority {
    directory: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// One party: the files of its certificate and key.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// The private key, in PEM.
    pub key: PathBuf,
}

/// The files of a key that signs tokens, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct KeyFiles {
    pub private: PathBuf,
    pub public: PathBuf,
}

impl Authority {
    /// Makes an authority and the directory for all it signs.
    pub(crate) fn new(directory: PathBuf) -> Self {
        fs::create_dir(&directory).expect("the directory of certificates is new");
        let mut parameters = parameters("bed", None, &[]);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("a certificate can be made");
        let authority = Self { directory, issuer };
        fs::write(authority.certificate(), authority.issuer.pem()).expect("a certificate can be written");
        authority
    }

    /// The file of the authority's own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    /// Certifies a user of the API, perhaps of a group, and perhaps as a server under some names and addresses.
    pub(crate) fn certify(&self, user: &str, group: Option<&str>, names: &[&str]) -> Identity {
        let mut parameters = parameters(user, group, names);
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate can be made");
        let file = |extension: &str| self.directory.join(format!("{}.{extension}", user.replace(':', "-")));
        let identity = Identity { certificate: file("crt"), key: file("key") };
        fs::write(&identity.certificate, certificate.pem()).expect("a certificate can be written");
        fs::write(&identity.key, key.serialize_pem()).expect("a key can be written");
        identity
    }

    /// Makes a key that nothing is certified for.
    pub(crate) fn pair(&self, name: &str) -> KeyFiles {
        let [private, public] = ["key", "pub"].map(|kind| self.directory.join(format!("{name}.{kind}")));
        let key = KeyPair::generate().expect("a key can be made");
        fs::write(&private, key.serialize_pem()).expect("a key can be written");
        fs::write(&public, key.public_key_pem()).expect("a key can be written");
        KeyFiles { private, public }
    }

    /// Certifies a client and writes its kubeconfig.
    pub(crate) fn client(&self, user: &str, group: Option<&str>) -> PathBuf {
        let identity = self.certify(user, group, &[]);
        self.kubeconfig(user, &identity)
    }

    /// Writes the kubeconfig of a client that has a certificate.
    pub(crate) fn kubeconfig(&self, user: &str, identity: &Identity) -> PathBuf {
        let file = self.directory.join(format!("{}.kubeconfig", user.replace(':', "-")));
        let configuration = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bed",
            "clusters": [{"name": "bed", "cluster": {
                "server": format!("https://{API_SERVER}"),
                "certificate-authority": self.certificate(),
            }}],
            "users": [{"name": user, "user": {
                "client-certificate": identity.certificate,
                "client-key": identity.key,
            }}],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": user}}],
        });
        fs::write(&file, configuration.to_string()).expect("a kubeconfig can be written");
        file
    }
}

fn parameters(user: &str, group: Option<&str>, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).expect("names are names or addresses");
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        parameters.distinguished_name.push(DnType::OrganizationName, group);
    }
    parameters
}
