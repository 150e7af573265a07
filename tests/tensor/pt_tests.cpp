// .pt files made by hand: what is read, and what is refused. The real ones are in tests/parity/checkpoint_tests.cpp.
#include <ATen/ATen.h>
#include <zlib.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "detect/weights/model_weights.h"
#include "detect/weights/pickle_reader.h"
#include "detect/weights/pt_archive.h"
#include "detect/weights/pt_writer.h"
#include "detect/weights/safetensors.h"
#include "detect/weights/zip_writer.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"

using namespace valbench;
using Catch::Matchers::Contains;
using valbench::test::ScratchFolder;

namespace {

std::string text(const std::string& value) { return std::string("X") + static_cast<char>(value.size()) + std::string(3, '\0') + value; }
std::string global(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }
std::string pickle(const std::string& body) { return "\x80\x02" + body + "."; }

/// A float tensor of two numbers in storage `key`.
std::string tensor(const std::string& key, int size = 2, int offset = 0) {
  const auto number = [](int value) { return std::string("K") + static_cast<char>(value); };
  return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") + global("torch", "FloatStorage") + text(key) + text("cpu") +
         number(2) + "tQ" + number(offset) + number(size) + "\x85" + number(1) + "\x85\x89}tR";
}

/// An object of a class with this __dict__, as torch pickles a module.
std::string object(const std::string& name, const std::string& members) {
  const std::size_t dot = name.rfind('.');
  return global(name.substr(0, dot), name.substr(dot + 1)) + ")\x81}(" + members + "ub";
}

std::string archive(const std::string& pickle_bytes) {
  ZipWriter zip;
  const float values[2] = {1.5F, -2};
  zip.add("archive/data.pkl", pickle_bytes);
  zip.add("archive/data/0", {reinterpret_cast<const char*>(values), sizeof values});
  return zip.finish();
}

template <typename Read>
std::string failure(Read read) {
  try {
    read();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::string failure_of(const std::string& file_bytes) {
  const ScratchFolder folder;
  const auto file = folder.write("model.pt", file_bytes);
  std::string message = failure([&] { read_pt_checkpoint(file); });
  CHECK_THAT(message, Contains(file.string()));
  return message;
}

}  // namespace

TEST_CASE("a module's parameters, buffers and children become a state dict in torch's order") {
  const std::string conv = object("torch.nn.Conv2d", text("_parameters") + "}" + text("weight") + tensor("0") + "s" + text("_modules") + "}");
  const std::string members = text("_parameters") + "}" + text("bias") + "Ns" + text("_buffers") + "}" + text("anchors") + tensor("0") + "s" +
                              text("_modules") + "}" + text("conv") + conv + "s" + text("names") + "](" + text("a") + text("b") + "e";
  const std::string epoch = text("epoch") + "K\x07";
  const ScratchFolder folder;
  const auto file = folder.write("m.pt", archive(pickle("}(" + epoch + text("model") + object("models.yolo.DetectionModel", members) + "u")));
  const PtCheckpoint read = read_pt_checkpoint(file);
  REQUIRE(read.model.size() == 2);
  CHECK(read.model[0].first == "anchors");
  CHECK(read.model[1].first == "conv.weight");
  CHECK(read.model[1].second[0].item<float>() == 1.5F);
  CHECK(read.epoch == 7);
  CHECK(read.class_names == std::vector<std::string>{"a", "b"});
  CHECK(read.model_class == "models.yolo.DetectionModel");
}

TEST_CASE("a pickle that calls os.system is refused with what it would have called, and calls nothing") {
  const ScratchFolder folder;
  const std::string command = "touch " + (folder.path() / "ran").string();
  const std::string calls[] = {global("os", "system") + text(command.substr(0, 100)) + "\x85R", global("posix", "system") + "(" + text("id") + "tR",
                               "(S'id'\nios\nsystem\n", "(" + global("os", "system") + text("id") + "o",
                               "\x8c\x02os\x8c\x06system\x93" + text("id") + "\x85R"};
  for (const std::string& call : calls) {
    const std::string message = failure_of(archive(pickle("}" + text("model") + call + "s")));
    CHECK_THAT(message, Contains("would call") && Contains("system") && Contains("Nothing of it was run"));
    CHECK_FALSE(std::filesystem::exists(folder.path() / "ran"));
  }
  CHECK_THAT(failure_of(archive(pickle(global("os", "system") + text("id") + "\x85R"))), Contains("os.system(\"id\")"));
  CHECK_THAT(failure_of(archive(pickle(global("__builtin__", "eval") + text("1") + "\x85R"))), Contains("__builtin__.eval"));
  CHECK_THAT(failure_of(archive(pickle("}" + text("hook") + global("subprocess", "Popen") + "s"))), Contains("subprocess.Popen"));
}

TEST_CASE("objects of unknown classes are inert and do not stand in the way") {
  const std::string unknown = object("my.own.Callback", text("step") + "K\x03");
  const std::string state = "}" + text("w") + tensor("0") + "s";
  const ScratchFolder folder;
  const auto file = folder.write("m.pt", archive(pickle("}(" + text("callback") + unknown + text("opt") + "}" + text("c") + unknown + "s" +
                                                        text("state_dict") + state + "u")));
  const PtCheckpoint read = read_pt_checkpoint(file);
  CHECK(read.model.size() == 1);
  CHECK(read.opt["c"] == "<my.own.Callback>");
}

TEST_CASE("files that are no detection checkpoint are refused by what they are") {
  CHECK_THAT(failure_of(""), Contains("it is empty"));
  CHECK_THAT(failure_of("these are no weights at all"), Contains("no zip archive"));
  CHECK_THAT(failure_of(std::string("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15)), Contains("before 1.6"));
  ZipWriter other;
  other.add("readme.txt", "hello");
  CHECK_THAT(failure_of(other.finish()), Contains("no data.pkl"));
  ZipWriter script;
  script.add("m/data.pkl", "");
  script.add("m/constants.pkl", "");
  CHECK_THAT(failure_of(script.finish()), Contains("TorchScript"));
  const std::string weight = text("_modules") + "}" + text("_parameters") + "}" + text("w") + tensor("0") + "s";
  CHECK_THAT(failure_of(archive(pickle("}" + text("model") + object("models.yolo.SegmentationModel", weight) + "s"))), Contains("segmentation model"));
  const std::string child = text("_modules") + "}" + text("0") + object("models.yolo.Segment", weight) + "s";
  CHECK_THAT(failure_of(archive(pickle("}" + text("model") + object("models.yolo.Model", child) + "s"))), Contains("segmentation model"));
  CHECK_THAT(failure_of(archive(pickle("}" + text("epoch") + "Ns"))), Contains("no model: its keys are epoch"));
  CHECK_THAT(failure_of(archive(pickle("K\x01"))), Contains("neither a checkpoint nor a state dict"));
}

TEST_CASE("every truncation of a .pt file is an error, none is a crash") {
  const std::string whole = archive(pickle("}" + text("w") + tensor("0") + "s"));
  const ScratchFolder folder;
  const auto file = folder.path() / "cut.pt";
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_atomically(file, whole.substr(0, length));
    CHECK(failure([&] { read_pt_checkpoint(file); }) != "no error");
  }
  write_atomically(file, whole);
  CHECK(read_pt_checkpoint(file).model.size() == 1);
}

TEST_CASE("tensors that do not lie in their storage are refused") {
  const auto read = [](const std::string& t) { return failure_of(archive(pickle("}" + text("w") + t + "s"))); };
  CHECK_THAT(read(tensor("0", 3)), Contains("does not lie in its storage of 2 elements"));
  CHECK_THAT(read(tensor("0", 2, 1)), Contains("does not lie in its storage"));
  CHECK_THAT(read(tensor("1")), Contains("storage 1 is missing"));
}

TEST_CASE("an epoch that is no whole number of any training is refused") {
  const auto read = [](const std::string& real) {
    const ScratchFolder folder;
    const std::string model = text("model") + "}" + text("w") + tensor("0") + "s";
    const auto file = folder.write("model.pt", archive(pickle("}(" + model + text("epoch") + "G" + real + "u")));
    return failure([&] { read_pt_checkpoint(file); });
  };
  CHECK_THAT(read("\x7e\x37\xe4\x3c\x88" + std::string(1, '\0') + "\x75\x9c"), Contains("its epoch is 1e+300"));
  CHECK_THAT(read("\x7f\xf8" + std::string(6, '\0')), Contains("its epoch is nan"));
  CHECK(read("\x3f\xf0" + std::string(6, '\0')) == "no error");
}

TEST_CASE("compressed entries that share their bytes are refused before they fill the memory") {
  const std::string zeros(1 << 20, '\0');
  uLongf packed_size = compressBound(zeros.size());
  std::string packed(packed_size, '\0');
  REQUIRE(compress2(reinterpret_cast<Bytef*>(packed.data()), &packed_size, reinterpret_cast<const Bytef*>(zeros.data()), zeros.size(), 9) == Z_OK);
  packed = packed.substr(2, packed_size - 6);  // raw deflate: without zlib's header and checksum
  const auto number = [](std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  const auto sizes = [&](std::uint64_t crc, std::size_t in, std::size_t out) { return number(crc, 4) + number(in, 4) + number(out, 4); };
  const auto crc_of = [](const std::string& bytes) { return crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()); };
  // Each entry: signature, versions, flags and method, time, checksum and sizes, name and extra lengths.
  std::string file, directory;
  const auto local = [&](const std::string& name, int method, const std::string& content, std::uint64_t crc, std::size_t size) {
    file += "PK\3\4" + number(20, 2) + number(0, 2) + number(method, 2) + number(0, 4) + sizes(crc, content.size(), size) +
            number(name.size(), 2) + number(0, 2) + name + content;
  };
  const auto entry = [&](const std::string& name, int method, std::uint64_t crc, std::size_t in, std::size_t out, std::size_t at) {
    directory += "PK\1\2" + number(20, 2) + number(20, 2) + number(0, 2) + number(method, 2) + number(0, 4) + sizes(crc, in, out) +
                 number(name.size(), 2) + number(0, 12) + number(at, 4) + name;
  };
  std::string state = "}(";
  for (int i = 0; i < 50; ++i) state += text("w" + std::to_string(i)) + tensor(std::to_string(i));
  const std::string pickled = pickle(state + "u");
  local("a/data.pkl", 0, pickled, crc_of(pickled), pickled.size());
  entry("a/data.pkl", 0, crc_of(pickled), pickled.size(), pickled.size(), 0);
  const std::size_t shared = file.size();
  local("x", 8, packed, crc_of(zeros), zeros.size());
  for (int i = 0; i < 50; ++i) entry("a/data/" + std::to_string(i), 8, crc_of(zeros), packed.size(), zeros.size(), shared);
  const std::size_t at = file.size();
  file += directory + "PK\5\6" + number(0, 4) + number(51, 2) + number(51, 2) + number(directory.size(), 4) + number(at, 4) + number(0, 2);
  CHECK_THAT(failure_of(file), Contains("on top of each other"));
}

TEST_CASE("pickles that would grow or nest without end are refused") {
  std::string bomb = "](";  // A list of 1000 numbers, then OrderedDict and set of it again and again.
  for (int i = 0; i < 1000; ++i) bomb += "K\x01";
  bomb += "eq\x01" + global("__builtin__", "set") + "q\x02";
  for (int i = 0; i < 100'000; ++i) bomb += "h\x02h\x01\x85R";
  CHECK_THAT(failure([&] { read_pickle(pickle(bomb), "bomb"); }), Contains("repeated values"));
  std::string self = "}q\x01" + text("_modules") + "}" + text("0");
  CHECK_THAT(failure_of(archive(pickle("}" + text("model") + global("m", "M") + ")\x81q\x05}" + text("_modules") + "}" + text("0") + "h\x05ssbs"))),
             Contains("nested without an end"));
  // A list of one text of 1 MiB, 20,000 times.
  const std::string mebibyte = std::string("X\0\0\x10\0", 5) + std::string(1 << 20, 'a') + "q\x01";
  std::string repeated = "](" + mebibyte;
  for (int i = 1; i < 20'000; ++i) repeated += "h\x01";
  const PickleGraph texts = read_pickle(pickle(repeated + "e"), "texts");
  CHECK(texts.to_json(texts.root()).dump().size() < (64 << 20));
  CHECK_THAT(failure([] { read_pickle(std::string(100, '\x80'), "p"); }), Contains("protocol"));
  CHECK_THAT(failure([] { read_pickle("0.", "p"); }), Contains("no mark") || Contains("empty stack"));
  CHECK_THAT(failure([] { read_pickle("h\x01.", "p"); }), Contains("which is not there"));
}

TEST_CASE("compressed entries are read, and damage in them is seen") {
  const std::string body = pickle("}" + text("w") + tensor("0") + "s");
  std::string packed(compressBound(body.size()), '\0');
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data())), stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data()), stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  // The stored archive with the packed bytes, and method, checksum and sizes of the entry put right.
  std::string zip = archive(packed);
  const auto crc = static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size()));
  const auto size = static_cast<std::uint32_t>(body.size());
  const std::size_t entry = zip.find("PK\x01\x02");
  zip[entry + 10] = 8;
  std::memcpy(zip.data() + entry + 16, &crc, 4);
  std::memcpy(zip.data() + entry + 24, &size, 4);
  const ScratchFolder folder;
  CHECK(read_pt_checkpoint(folder.write("packed.pt", zip)).model.size() == 1);
  zip[zip.find(packed) + packed.size() / 2] ^= 1;
  CHECK_THAT(failure_of(zip), Contains("damaged") || Contains("checksum"));
}

TEST_CASE("the plain form comes back with every dtype, shape and value, and safetensors are told apart by content") {
  const ScratchFolder folder;
  const NamedTensors state{{"model.0.conv.weight", at::arange(24, at::kFloat).view({2, 3, 2, 2}).to(at::kHalf)},
                           {"model.0.bn.num_batches_tracked", at::scalar_tensor(7, at::kLong)},
                           {"transposed", at::arange(6, at::kFloat).view({2, 3}).t()},
                           {"empty", at::empty({0, 3})}};
  const auto file = folder.path() / "plain.safetensors";  // The name does not decide.
  write_plain_pt(file, state, {{"epoch", -1}, {"names", {"a", "b"}}, {"best_fitness", 0.5}, {"opt", {{"imgsz", 64}}}});
  const PtCheckpoint read = read_pt_checkpoint(file);
  CHECK(read.class_names == std::vector<std::string>{"a", "b"});
  CHECK(read.best_fitness == 0.5);
  CHECK(read.opt["imgsz"] == 64);
  const ModelWeights weights = read_model_weights(file);
  REQUIRE(weights.model.size() == state.size());
  for (std::size_t i = 0; i < state.size(); ++i) {
    INFO(state[i].first);
    CHECK(weights.model[i].first == state[i].first);
    CHECK(weights.model[i].second.scalar_type() == state[i].second.scalar_type());
    CHECK(at::equal(weights.model[i].second, state[i].second));
  }
  const auto other = folder.path() / "weights.pt";
  write_safetensors(other, {.tensors = state, .metadata = {}});
  CHECK(read_model_weights(other).model.size() == state.size());
  CHECK_THAT(failure([&] { read_model_weights(folder.write("x.pt", "these are no weights at all")); }), Contains("no zip archive"));
}

TEST_CASE("weights of another size are refused, of other classes taken but for the last layers, or refused where all must fit") {
  const ScratchFolder folder;
  const auto save = [&folder](const std::string& name, int classes) {
    const auto model = make_yolov5(name, classes, 1);
    NamedTensors state;
    for (const StateEntry& entry : model->state()) state.emplace_back(entry.name, entry.tensor);
    const auto file = folder.path() / (name + std::to_string(classes) + ".pt");
    write_plain_pt(file, state, nlohmann::ordered_json::object());
    return file;
  };
  const auto nano = save("yolov5n", 3);
  CHECK(read_model_weights(nano).model_name == "yolov5n");
  CHECK(read_model_weights(nano).classes == 3);
  const auto same = make_yolov5("yolov5n", 3, 2), more = make_yolov5("yolov5n", 5, 2);
  CHECK(load_model_weights(nano, {.whole = true}, *same) == static_cast<int>(same->state().size()));
  CHECK(load_model_weights(nano, {}, *more) == static_cast<int>(more->state().size()) - 6);
  CHECK(load_model_weights(nano, {.anchors = false}, *same) == static_cast<int>(same->state().size()) - 1);
  CHECK_THAT(failure([&] { load_model_weights(nano, {.whole = true}, *more); }), Contains("3 classes, but 5"));
  const auto small = make_yolov5("yolov5s", 3, 2);
  CHECK_THAT(failure([&] { load_model_weights(nano, {}, *small); }), Contains("holds weights of yolov5n") && Contains("yolov5s"));
}
