//! Actions that read files and run commands.

use super::Dispatcher;
use crate::backend::Result;
use crate::linux::reason;
use crate::output::Message;

impl Dispatcher {
    /// `cat`
    pub(super) fn print_file(&mut self, path: &str) -> Result<()> {
        match self.outside.read_file(path, self.manifest.config.max_cat_bytes) {
            Ok(bytes) => self.print(&Message::Cat(&bytes)),
            Err(error) => {
                let trouble = format!("failed to open file '{path}' ({})", reason::of(&error));
                self.print(&Message::Trouble(&trouble))
            }
        }
    }

    /// `system`: nothing else happens until the command has ended.
    pub(super) fn run_command(&mut self, command: &str) -> Result<()> {
        // The command writes its complaints by itself, behind what was printed before.
        self.flush()?;
        let (bytes, ended) = self.outside.run(command);
        if ended.is_ok() || !bytes.is_empty() {
            self.print(&Message::System(&bytes))?;
        }
        match ended {
            Ok(()) => Ok(()),
            Err(trouble) => self.print(&Message::Trouble(&trouble)),
        }
    }
}
