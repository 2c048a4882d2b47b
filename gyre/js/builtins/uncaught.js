'use strict';
// What happens to an exception that nobody caught: the process events, and the end of the runtime if nobody listens.

const { exit, isExiting, storedExitCode } = require('exit_code');

const kGenericError = 1;
const kErrorInHandler = 7;

let process;
let keepLoopTurning;

/// `processObject` gets the events. `scheduleTurn` is called after a handled exception: what was left undone (ticks,
/// microtasks) is taken up after the next callback, so there has to be one.
function connectUncaught(processObject, scheduleTurn) {
  process = processObject;
  keepLoopTurning = scheduleTurn;
}

/// The exit event of a fatal error. An exception in its listeners changes nothing any more.
function emitFatalExit() {
  try {
    process._exiting = true;
    process.exitCode = kGenericError;
    process.emit('exit', kGenericError);
  } catch {
    // The first error is the one to report.
  }
  return storedExitCode() ?? kGenericError;
}

/// Takes `error`, whatever value it is, down the uncaught path; `origin` is 'uncaughtException' or
/// 'unhandledRejection'. True if a listener took it. Otherwise the runtime ends, and in the host's eyes this call
/// does not return.
function reportUncaught(error, origin) {
  try {
    process.emit('uncaughtExceptionMonitor', error, origin);
    if (process.emit('uncaughtException', error, origin)) {
      keepLoopTurning();
      return true;
    }
  } catch (listenerError) {
    native.reportFatal(listenerError, 'uncaughtException');
    exit(kErrorInHandler);
    return false;
  }
  native.reportFatal(error, origin);
  // An exception of an exit listener: the event is not repeated, and a code that says failure stays.
  exit(isExiting() ? storedExitCode() || kGenericError : emitFatalExit());
  return false;
}

exports.connectUncaught = connectUncaught;
exports.reportUncaught = reportUncaught;
