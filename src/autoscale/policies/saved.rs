/// The methods of a policy whose parameters and memory are written into snapshots as they are.
macro_rules! saved_whole {
    () => {
        fn save(
            &self,
            to: &mut $crate::snapshot::StateWriter,
        ) -> Result<(), $crate::snapshot::SaveError> {
            to.put(self)
        }

        fn restore(
            &mut self,
            from: &mut $crate::snapshot::StateReader<'_>,
        ) -> Result<(), $crate::snapshot::RestoreError> {
            *self = from.take()?;
            Ok(())
        }
    };
}

pub(super) use saved_whole;
