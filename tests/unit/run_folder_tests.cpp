// The numbered folders of trainings and validations.
#include <filesystem>

#include "base/error.h"
#include "launch/increment_path.h"
#include "launch/train_folder.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using namespace valbench::test;
namespace fs = std::filesystem;

TEST_CASE("run folders are numbered exp, exp2, exp3, and a gap is filled") {
  const ScratchFolder folder;
  const auto next = [&](const char* name) { return increment_path(folder.path(), name, false).path; };
  CHECK(next("exp") == folder.path() / "exp");
  fs::create_directory(folder.path() / "exp3");
  CHECK(next("exp") == folder.path() / "exp2");
  CHECK(next("exp/") == folder.path() / "exp4");
  CHECK(increment_path(folder.path(), "exp", true).path == folder.path() / "exp");
}

TEST_CASE("a file in the place of a run folder is left alone") {
  const ScratchFolder folder;
  folder.write("exp", "not a folder");
  CHECK(increment_path(folder.path(), "exp", false).path == folder.path() / "exp2");
  CHECK(increment_path(folder.path(), "exp", true).path == folder.path() / "exp3");
}

TEST_CASE("a new run folder that is not wanted any more goes with the folders that were made for it") {
  const ScratchFolder folder;
  const NewFolder made = increment_path(folder.path() / "runs/val", "exp", false);
  CHECK(made.made_from == folder.path() / "runs");
  made.remove();
  CHECK_FALSE(fs::exists(folder.path() / "runs"));
  fs::create_directories(folder.path() / "kept/exp");
  increment_path(folder.path() / "kept", "exp", true).remove();
  CHECK(fs::exists(folder.path() / "kept/exp"));
}

TEST_CASE("trainings take the next free folder, and one that is taken up again can be held once") {
  const ScratchFolder folder;
  const fs::path wanted = folder.path() / "runs/exp";
  const TrainFolder first(wanted, FolderChoice::increment), second(wanted, FolderChoice::increment);
  CHECK(first.path() == wanted);
  CHECK(second.path() == folder.path() / "runs/exp2");
  CHECK_THROWS_AS(TrainFolder(wanted, FolderChoice::resume), InputError);
  CHECK_THROWS_AS(TrainFolder(wanted, FolderChoice::exist_ok), InputError);
}
