"""The private certificate authority and the server's TLS context."""

import ssl

import trustme

from local.emulator.state import CertificateAuthority


def new_certificate_authority() -> CertificateAuthority:
    """Return a fresh CA; it is kept in the state so that clients trust the emulator over restarts."""
    authority = trustme.CA()
    return CertificateAuthority(
        certificate_pem=authority.cert_pem.bytes().decode(), private_pem=authority.private_key_pem.bytes().decode()
    )


def server_context(authority: CertificateAuthority) -> ssl.SSLContext:
    """Return a server context with a new certificate for ``localhost`` and ``127.0.0.1`` under ``authority``."""
    ca = trustme.CA.from_pem(authority.certificate_pem.encode(), authority.private_pem.encode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context
