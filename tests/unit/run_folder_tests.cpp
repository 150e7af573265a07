// The numbered folders of trainings and validations.
#include <filesystem>

#include "base/error.h"
#include "launch/increment_path.h"
#include "launch/rank_process.h"
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

TEST_CASE("a training in the folder of an older one leaves nothing of it, one that is taken up again its checkpoints") {
  const ScratchFolder folder;
  const fs::path wanted = folder.path() / "exp";
  const auto fill = [&] {
    for (const char* file : {"weights/best.safetensors", "weights/best.pt", "results.csv", "run.json", "rank-7.error.json", "opt.yaml"})
      folder.write("exp/" + std::string(file), "old");
  };
  fill();
  { const TrainFolder resumed(wanted, FolderChoice::resume); }
  CHECK(fs::exists(wanted / "weights/best.safetensors"));
  CHECK(fs::exists(wanted / "results.csv"));
  CHECK_FALSE(fs::exists(wanted / "run.json"));
  CHECK_FALSE(fs::exists(wanted / "rank-7.error.json"));
  fill();
  { const TrainFolder replaced(wanted, FolderChoice::exist_ok); }
  CHECK_FALSE(fs::exists(wanted / "weights"));
  CHECK_FALSE(fs::exists(wanted / "results.csv"));
}

TEST_CASE("a training does not remove the weights that it is to begin from") {
  const ScratchFolder folder;
  const fs::path wanted = folder.path() / "exp", weights = folder.write("exp/weights/best.pt", "old");
  fs::create_directory_symlink(wanted, folder.path() / "link");
  CHECK_THROWS_WITH(check_not_replaced(wanted, weights), Catch::Contains("would be replaced") && Catch::Contains("--name"));
  CHECK_THROWS_AS(check_not_replaced(wanted, folder.path() / "link/weights/best.pt"), InputError);
  CHECK_NOTHROW(check_not_replaced(folder.path() / "exp2", weights));
  CHECK_NOTHROW(check_not_replaced(wanted, {}));
}

TEST_CASE("messages of ranks that failed earlier are removed, however many ranks there were") {
  const ScratchFolder folder;
  for (const char* file : {"rank-0.error.json", "rank-3.error.json", "rank-3.phase", "rank-0.log"}) folder.write(file, "old");
  remove_error_messages(folder.path());
  CHECK_FALSE(fs::exists(folder.path() / "rank-0.error.json"));
  CHECK_FALSE(fs::exists(folder.path() / "rank-3.error.json"));
  CHECK_FALSE(fs::exists(folder.path() / "rank-3.phase"));
  CHECK(fs::exists(folder.path() / "rank-0.log"));
}
