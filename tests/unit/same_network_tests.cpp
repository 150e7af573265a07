// When a YAML of a checkpoint is one of YOLOv5's own models.
#include "scenario/same_network.h"

#include "scenario/model_yaml.h"
#include "tests/support/catch.h"

using namespace valbench;

namespace {

/// yolov5n as a checkpoint of YOLOv5 stores it: JSON is YAML. `c3` is the module of layer 2, `more` further keys.
LayerTable stored(const std::string& c3 = "C3", const std::string& more = "") {
  const std::string text =
      R"({"nc":3,"depth_multiple":0.33,"width_multiple":0.25,"anchors":[[10,13,16,30,33,23],[30,61,62,45,59,119],[116,90,156,198,373,326]],)"
      R"("backbone":[[-1,1,"Conv",[64,6,2,2]],[-1,1,"Conv",[128,3,2]],[-1,3,")" + c3 + R"(",[128]],[-1,1,"Conv",[256,3,2]],)"
      R"([-1,6,"C3",[256]],[-1,1,"Conv",[512,3,2]],[-1,9,"C3",[512]],[-1,1,"Conv",[1024,3,2]],[-1,3,"C3",[1024]],[-1,1,"SPPF",[1024,5]]],)"
      R"("head":[[-1,1,"Conv",[512,1,1]],[-1,1,"nn.Upsample",["None",2,"nearest"]],[[-1,6],1,"Concat",[1]],[-1,3,"C3",[512,false]],)"
      R"([-1,1,"Conv",[256,1,1]],[-1,1,"nn.Upsample",["None",2,"nearest"]],[[-1,4],1,"Concat",[1]],[-1,3,"C3",[256,false]],)"
      R"([-1,1,"Conv",[256,3,2]],[[-1,14],1,"Concat",[1]],[-1,3,"C3",[512,false]],[-1,1,"Conv",[512,3,2]],[[-1,10],1,"Concat",[1]],)"
      R"([-1,3,"C3",[1024,false]],[[17,20,23],1,"Detect",["nc","anchors"]]],"ch":3)" + more + "}";
  return parse_model_yaml(text, "weights.pt", Compat::v7_0);
}

LayerTable builtin(const std::string& name) { return model_table(name, Compat::v7_0); }

}  // namespace

TEST_CASE("the YAML that YOLOv5 stores of its own model is that model, and of no other size") {
  CHECK(same_network(stored(), builtin("yolov5n")));
  CHECK_FALSE(same_network(stored(), builtin("yolov5s")));
  CHECK_FALSE(same_network(stored(), builtin("yolov5n6")));
  CHECK(same_network(builtin("yolov5x6"), builtin("yolov5x6")));
}

TEST_CASE("another block or another activation is another network, whatever the shapes of its weights") {
  CHECK_FALSE(same_network(stored("C3x"), builtin("yolov5n")));
  CHECK_FALSE(same_network(stored("C3", R"x(,"activation":"nn.ReLU()")x"), builtin("yolov5n")));
  CHECK(same_network(stored("C3", R"x(,"activation":"nn.SiLU()")x"), builtin("yolov5n")));
}
