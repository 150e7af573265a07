// The checkpoint files of a run's folder: one content under several names, and what each holds once another epoch has written.
#include "train/checkpoint_files.h"

#include <ATen/ATen.h>

#include <future>
#include <iterator>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "detect/state_layout.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using valbench::test::ScratchFolder;
namespace fs = std::filesystem;

namespace {

SafetensorsFile content_of(float value) {
  SafetensorsFile content;
  content.tensors = {{"weight", at::full({3, 2}, value)}};
  return content;
}

float value_in(const fs::path& file) { return read_safetensors(file).tensors.at(0).second[0][0].item<float>(); }

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("best and a numbered file keep their epoch's weights when last gets those of the next") {
  const ScratchFolder folder;
  CheckpointFiles files(folder.path());
  files.write({"last", "best", "epoch0"}, content_of(1));
  for (const char* name : {"last", "best", "epoch0"}) CHECK(value_in(folder.path() / (std::string(name) + ".safetensors")) == 1);
  files.finish();
  CHECK(fs::hard_link_count(folder.path() / "best.safetensors") == 3);  // Written once.
  files.write({"last"}, content_of(2));
  CHECK(value_in(folder.path() / "last.safetensors") == 2);
  CHECK(value_in(folder.path() / "best.safetensors") == 1);
  files.write({"last", "best"}, content_of(3));
  CHECK(value_in(folder.path() / "best.safetensors") == 3);
  CHECK(value_in(folder.path() / "epoch0.safetensors") == 1);
  files.finish();
  CHECK(files_in(folder.path()) == 3);
}

TEST_CASE("what a killed run left of a link is in nobody's way, and goes") {
  const ScratchFolder folder;
  folder.write("best.safetensors.link", "half of something");
  CheckpointFiles files(folder.path());
  files.write({"last", "best"}, content_of(4));
  files.finish();
  CHECK(value_in(folder.path() / "best.safetensors") == 4);
  CHECK(files_in(folder.path()) == 2);
}

TEST_CASE("a checkpoint that cannot be written is an error with its name, at once or when the next one is due") {
  const ScratchFolder folder;
  CheckpointFiles nowhere(folder.path() / "gone");
  CHECK_THROWS_WITH(nowhere.write({"last"}, content_of(1)), Catch::Contains("last.safetensors"));
  CheckpointFiles files(folder.path());
  files.write({"last"}, content_of(1));
  CHECK_NOTHROW(files.finish());
  CHECK_THROWS_AS(sync_file(folder.path() / "best.safetensors"), RecordError);
  CheckpointFiles lost(folder.path(), [](const fs::path& file) { throw RecordError("cannot write " + file.string()); });
  lost.write({"last"}, content_of(2));
  CHECK_THROWS_WITH(lost.write({"last"}, content_of(3)), Catch::Contains("last.safetensors"));
  CHECK(value_in(folder.path() / "last.safetensors.previous") == 1);
  lost.write({"best"}, content_of(2));
  CHECK_THROWS_WITH(lost.finish(), Catch::Contains("best.safetensors"));
}

TEST_CASE("until a checkpoint is on the disk the one before it is kept, and a checkpoint of another name does not wait for it") {
  const ScratchFolder folder;
  const fs::path last = folder.path() / "last.safetensors", previous = folder.path() / "last.safetensors.previous";
  std::shared_future<void> disk;
  CheckpointFiles files(folder.path(), [&](const fs::path& file) {
    if (file == last) disk.wait();
  });
  std::promise<void> on_disk;  // Gone before the files: a test that fails does not wait for ever.
  disk = on_disk.get_future().share();
  write_safetensors(last, content_of(1));
  files.write({"last"}, content_of(2));
  files.write({"best"}, content_of(1));
  CHECK(value_in(last) == 2);
  CHECK(value_in(previous) == 1);
  on_disk.set_value();
  files.finish();
  CHECK_FALSE(fs::exists(previous));
  CHECK(files_in(folder.path()) == 2);
}

TEST_CASE("the entries of a flat state are row-major on the host, whichever layout the device's weights have") {
  const bool channels_last = GENERATE(false, true);
  const auto model = make_yolov5("yolov5n", 3, 0);
  if (channels_last) use_channels_last(model->state());
  const at::Tensor flat = flatten_state(model->state());
  const auto entries = host_entries(flat, model->state());
  REQUIRE(entries.size() == flat_state_layout(model->state()).size());
  for (const auto& [slice, tensor] : entries) {
    CHECK(tensor.is_contiguous());
    CHECK(at::equal(tensor, model->state()[slice.entry].tensor));
  }
  const std::int64_t half = flat.numel() / 2;
  CHECK(host_entries(flat.narrow(0, 0, half), model->state()).back().first.offset < half);
}
