//! ECDSA over any curve. Nothing here is secret, so it may take as long as the numbers ask for.

use p256::elliptic_curve::{
    AffinePoint, CurveArithmetic, FieldBytes, Group, NonZeroScalar, PrimeField, ProjectivePoint,
    Scalar,
    group::Curve as _,
    ops::{Invert as _, Reduce as _},
    point::AffineCoordinates as _,
};

/// ECDSA's verification (FIPS 186-5, 6.4.2), in half the time of the library's, which hides what it
/// computes: nothing here is secret.
pub(super) fn has_signed<C: CurveArithmetic>(
    key: &AffinePoint<C>,
    (r, s): (NonZeroScalar<C>, NonZeroScalar<C>),
    hash: &FieldBytes<C>,
) -> bool {
    let inverse = *s.invert_vartime();
    let factors = [Scalar::<C>::reduce_bytes(hash) * inverse, *r * inverse];
    let sum = sum_of_products::<C>([ProjectivePoint::<C>::generator(), (*key).into()], factors);
    *r == Scalar::<C>::reduce_bytes(&sum.to_affine().x())
}

/// Two points, each times its factor, added (Straus's method): two bits of both factors at a time,
/// the highest first.
fn sum_of_products<C: CurveArithmetic>(
    [one, other]: [ProjectivePoint<C>; 2],
    factors: [Scalar<C>; 2],
) -> ProjectivePoint<C> {
    let mut sums = [ProjectivePoint::<C>::identity(); 16];
    for index in 1..16 {
        sums[index] = if index % 4 > 0 { sums[index - 1] + one } else { sums[index - 4] + other };
    }
    let [factor, other_factor] = factors.map(|factor| factor.to_repr());
    let mut sum = ProjectivePoint::<C>::identity();
    for (byte, other_byte) in factor.iter().zip(other_factor.iter()) {
        for shift in [6, 4, 2, 0] {
            sum = sum.double().double();
            let index = byte >> shift & 3 | (other_byte >> shift & 3) << 2;
            sum += sums[usize::from(index)];
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::signature::hazmat::PrehashVerifier as _;

    /// Signatures by several keys of one curve: ours and the library's answers are the same.
    macro_rules! compare {
        ($curve:ident, $bytes:literal) => {
            for byte in [1, 7, 0x55, 0x7f] {
                let signer = $curve::ecdsa::SigningKey::from_slice(&[byte; $bytes]).unwrap();
                let verifier = signer.verifying_key();
                for hash in [[0; $bytes], [byte; $bytes], [0xff; $bytes]] {
                    let (signature, _) = signer.sign_prehash_recoverable(&hash).unwrap();
                    let mut flipped = hash;
                    flipped[$bytes / 2] ^= 1;
                    for (hash, good) in [(hash, true), (flipped, false)] {
                        let parts = signature.split_scalars();
                        assert_eq!(verifier.verify_prehash(&hash, &signature).is_ok(), good);
                        assert_eq!(has_signed(verifier.as_affine(), parts, &hash.into()), good);
                    }
                }
            }
        };
    }

    #[test]
    fn a_signature_is_judged_as_by_the_library() {
        compare!(p256, 32);
        compare!(p384, 48);
    }
}
