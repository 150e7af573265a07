/// \file
/// The error family. A message says what failed, with which value, and what to do about it.
#pragma once
#include <stdexcept>
#include <string>

namespace valbench {

/// Any failure that valbench reports in one sentence. Exit code 4 unless a subclass says otherwise.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The user's input cannot be used (scenario, data set, options). Exit code 2; nothing has been written.
class InputError : public Error {
 public:
  using Error::Error;
};

/// A scenario or YAML file is wrong. what() reads `file:line: key = value: reason. Allowed: …`.
class ScenarioError : public InputError {
 public:
  ScenarioError(const std::string& file, int line, const std::string& message)
      : InputError(file + (line > 0 ? ":" + std::to_string(line) : std::string()) + ": " + message) {}
};

/// A rank or other child process failed; what() holds the rank, its exit code and its last log lines.
class ProcessError : public Error {
 public:
  using Error::Error;
};

/// A result file cannot be read or written.
class RecordError : public Error {
 public:
  using Error::Error;
};

}  // namespace valbench
