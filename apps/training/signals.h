// SIGINT and SIGTERM as a wish: the run finishes its step and saves. A second one ends the process at once.
#pragma once

namespace actgrad {

// Also lets writes beyond a file size limit fail with an error instead of killing the process.
void catch_stop_signals();

// 0, or the signal that asked the process to stop.
int stop_signal();

}  // namespace actgrad
