//! Certificates in the firmware's variables: lists of `EFI_SIGNATURE_LIST` (UEFI 2.10, 32.4.1),
//! as `parse_efi_signature_list()` (`security/integrity/platform_certs/efi_parser.c`) reads them.

use super::certificate::Certificate;
use crate::raw_elf::u32_at;

/// `EFI_CERT_X509_GUID`.
const X509: [u8; 16] = [
    0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72,
];
/// The GUID of the list, its size, the size of its header, the size of each entry.
const LIST_BYTES: usize = 28;
/// The GUID of an entry's owner.
const OWNER_BYTES: usize = 16;

/// The certificates in a variable's data. An entry that is no X.509 certificate is passed over; a
/// list that does not fit its size ends the reading.
pub fn certificates(data: &[u8]) -> Vec<Certificate> {
    let mut found = Vec::new();
    let mut rest = data;
    while let Some((list, more)) = next_list(rest) {
        rest = more;
        found.extend(entries(list).into_iter().flatten());
    }
    found
}

fn next_list(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = u32_at(data, 16)? as usize;
    if bytes < LIST_BYTES {
        return None;
    }
    data.split_at_checked(bytes)
}

fn entries(list: &[u8]) -> Option<Vec<Certificate>> {
    if !list.starts_with(&X509) {
        return None;
    }
    let (header, entry) = (u32_at(list, 20)? as usize, u32_at(list, 24)? as usize);
    let entries = list.get(LIST_BYTES.checked_add(header)?..)?;
    if entry <= OWNER_BYTES {
        return None;
    }
    let ders = entries.chunks_exact(entry).map(|entry| &entry[OWNER_BYTES..]);
    Some(ders.filter_map(Certificate::parse).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(guid: [u8; 16], der: &[u8]) -> Vec<u8> {
        let entry = (OWNER_BYTES + der.len()) as u32;
        let bytes = LIST_BYTES as u32 + entry;
        let sizes = [bytes, 0, entry].map(u32::to_le_bytes).concat();
        [&guid[..], &sizes, &[7; OWNER_BYTES], der].concat()
    }

    #[test]
    fn certificates_are_read_and_hashes_passed_over() {
        let rsa = include_bytes!("../../tests/fixtures/rsa.der");
        let p256 = include_bytes!("../../tests/fixtures/p256.der");
        let hash = list([1; 16], &[0; 32]);
        let data = [list(X509, rsa), hash, list(X509, p256)].concat();
        let subjects = |data: &[u8]| {
            certificates(data).into_iter().map(|found| found.subject).collect::<Vec<_>>()
        };
        assert_eq!(subjects(&data), ["rsa of the fixtures", "p256 of the fixtures"]);
        assert_eq!(subjects(&data[..data.len() - 1]), ["rsa of the fixtures"]);
        for end in 0..data.len() {
            assert!(subjects(&data[..end]).len() < 2);
        }
        let endless = [X509.as_slice(), &[0; 12]].concat();
        assert!(subjects(&endless).is_empty());
    }
}
