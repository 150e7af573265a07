"""YOLOv5 v7.0's own train.py with its own options, for the test of a training that goes on in valbench. Nothing is downloaded."""
import yolov5.models.common as common
import yolov5.train as train
import yolov5.utils.downloads as downloads
import yolov5.utils.general as general


def nothing(*arguments, **options):
    return None


# They look for a library that the peers do without, a font for pictures, and a picture that AMP is tried on.
train.attempt_download_from_hub = common.attempt_download_from_hub = downloads.attempt_download_from_hub = nothing
general.check_font = nothing
train.check_amp = lambda model: False

train.main(train.parse_opt())
