//! What was ordered, for the client that writes it into the file.

use super::{Data, Operator, Outcome, Reply, done};
use crate::admin::SaveReport;

impl Operator {
    /// Tells what was ordered, and of which text.
    pub(super) fn save(&self) -> Reply {
        let texts = self.texts.borrow();
        let (Some(file), Some(text)) = (&self.config, texts.now()) else {
            let message = "there is no file to write to: the configuration was typed";
            return Reply::not_done(Outcome::Failed, message);
        };
        let refused = self.engine.refused_file().map(|_| "the file is refused".to_owned());
        let report = SaveReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            file: file.display().to_string(),
            text: (text.len() as u64, eclusa_config::digest(text)),
            not_in_force: refused.or_else(|| self.engine.gone_back().map(|why| (*why).clone())),
            orders: self.state.borrow().to_save(),
        };
        done(Data::Saved(Box::new(report)))
    }
}
