//! Cuts long lists into calls that a broker takes. Pure.

/// Records in one request: KRaft writes each request's as one batch of at most 10,000 (MAX_RECORDS_PER_USER_OP in
/// org.apache.kafka.controller.QuorumController).
pub const RECORDS: usize = 9_000;

/// Cuts a list so that no batch weighs more than that; what weighs more by itself goes alone.
pub fn batches<T>(all: Vec<T>, most: usize, weight: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut load = 0;
    for one in all {
        let weight = weight(&one);
        match batches.last_mut() {
            Some(batch) if load + weight <= most => {
                load += weight;
                batch.push(one);
            }
            Some(_) | None => {
                load = weight;
                batches.push(vec![one]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_batch_is_too_heavy_and_nothing_is_lost() {
        let cut = |weights: &[usize]| batches(weights.to_vec(), 10, |weight| *weight);
        assert_eq!(cut(&[]), Vec::<Vec<usize>>::new());
        assert_eq!(cut(&[5, 5, 1]), [vec![5, 5], vec![1]]);
        assert_eq!(cut(&[11, 2, 8, 1, 40]), [vec![11], vec![2, 8], vec![1], vec![40]]);
    }

    #[test]
    fn a_thousand_topics_of_eight_partitions_and_two_configs_fit() {
        let batches = batches(vec![1 + 8 + 2; 1000], RECORDS, |weight| *weight);
        assert!(batches.len() == 2 && batches.iter().all(|batch| batch.iter().sum::<usize>() <= RECORDS));
    }
}
