// Loading weights into a model that is there: a .pt of yolov5x in fp16 (173 MB) from the page cache. VALBENCH_BENCH_WEIGHTS
// names another one of that size, such as a checkpoint that Python wrote.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"
#include "detect/detection_model.h"
#include "detect/weights/model_weights.h"
#include "detect/weights/pt_writer.h"

namespace {

using namespace valbench;

struct BenchFile {
  std::filesystem::path folder, file;
  std::unique_ptr<DetectionModel> model = make_yolov5("yolov5x", 80, 0);

  BenchFile() {
    if (const char* given = std::getenv("VALBENCH_BENCH_WEIGHTS"); given != nullptr) {
      file = given;
      return;
    }
    std::string pattern = (std::filesystem::temp_directory_path() / "valbench-bench-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw Error("no temporary folder can be made: " + pattern);
    folder = pattern;
    file = folder / "yolov5x.pt";
    NamedTensors half;
    for (const StateEntry& entry : model->state()) {
      half.emplace_back(entry.name, entry.tensor.is_floating_point() ? entry.tensor.to(at::kHalf) : entry.tensor);
    }
    write_plain_pt(file, half, nlohmann::ordered_json::object());
  }
  ~BenchFile() {
    std::error_code ignored;
    if (!folder.empty()) std::filesystem::remove_all(folder, ignored);
  }
};

// Argument: compute threads.
void load_yolov5x(benchmark::State& state) {
  static BenchFile bench;
  at::set_num_threads(static_cast<int>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(load_model_weights(bench.file, {.whole = true}, *bench.model));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(std::filesystem::file_size(bench.file)));
}
BENCHMARK(load_yolov5x)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
