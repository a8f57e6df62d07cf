"""Small valid datasets in each format of ``data convert``, and dataset files of medrov itself."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dicom_objects import (
    Grid,
    SegmentFrame,
    contour,
    reference,
    segment,
    uid_of,
    write_segmentation,
    write_series,
    write_structures,
)

SIDE = 32
_CT, _LABELS = "imagesTr/a_0000.nii", "labelsTr/a.nii.gz"


@dataclass(frozen=True)
class Folder:
    """Files of a valid input.

    Attributes
    ----------
    files
        Content by relative path.
    changed
        The files that are changed.
    """

    files: Mapping[str, bytes]
    changed: tuple[str, ...]


def json_bytes(value: object) -> bytes:
    """Return a JSON text."""
    return json.dumps(value).encode()


def png(pixels: np.ndarray, folder: Path) -> bytes:
    """Return a PNG file."""
    path = folder / "seed.png"
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


def _image(folder: Path) -> bytes:
    y, x = np.mgrid[:SIDE, :SIDE]
    return png((x * 7 + y * 11).astype(np.uint8), folder)


def coco(folder: Path) -> Folder:
    """Return images with a box, a polygon, and run lengths."""
    annotation = {"image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 12], "area": 120, "iscrowd": 0}
    document = {
        "info": {"description": "x"},
        "images": [
            {"id": 1, "file_name": "a.png", "width": SIDE, "height": SIDE, "split": "train", "case": "p"},
            {"id": 2, "file_name": "b.png", "width": SIDE, "height": SIDE},
        ],
        "annotations": [
            {"id": 1, **annotation, "segmentation": [[2, 3, 12, 3, 12, 15, 2, 15]]},
            {
                "id": 2,
                **annotation,
                "image_id": 2,
                "iscrowd": 1,
                "segmentation": {"size": [SIDE, SIDE], "counts": [66, 12, 20, 12, 914]},
            },
            {"id": 3, **annotation, "segmentation": {"size": [SIDE, SIDE], "counts": "R2<d0lX1"}},
        ],
        "categories": [{"id": 1, "name": "liver", "supercategory": "organ"}, {"id": 2, "name": "spleen"}],
    }
    image = _image(folder)
    files = {"images/a.png": image, "images/b.png": image, "annotations.json": json_bytes(document)}
    return Folder(files, ("annotations.json",))


def geojson(folder: Path) -> Folder:
    """Return QuPath objects of an image: a polygon, several polygons, a point, and one without a class."""
    ring = [[2, 3], [20, 3], [20, 15], [2, 15], [2, 3]]
    forms = (("Polygon", [ring]), ("MultiPolygon", [[ring], [ring]]), ("Point", [4, 5]), ("Polygon", [ring]))
    features = [
        {
            "type": "Feature",
            "geometry": {"type": kind, "coordinates": coordinates},
            "properties": {
                "objectType": "annotation",
                "classification": {"name": "nuclei", "color": [1, 2, 3]},
            },
        }
        for kind, coordinates in forms
    ]
    features[-1]["properties"] = {"objectType": "annotation"}
    document = {"type": "FeatureCollection", "features": features}
    return Folder({"a.png": _image(folder), "a.geojson": json_bytes(document)}, ("a.geojson",))


def yolo(folder: Path) -> Folder:
    """Return a data.yaml with a list of images, a box, a polygon and keypoints."""
    image = _image(folder)
    return Folder(
        {
            "data.yaml": b"path: .\ntrain: train.txt\nval: images/val\nnames:\n  0: liver\n  1: kidney\n",
            "train.txt": b"images/train/a.png\n./images/train/c.png\n",
            "images/train/a.png": image,
            "images/train/c.png": image,
            "images/val/b.png": image,
            "labels/train/a.txt": b"0 0.5 0.5 0.2 0.3\n1 0.1 0.1 0.2 0.1 0.2 0.3 0.1 0.2\n",
            "labels/val/b.txt": b"1 0.5 0.5 0.2 0.3 0.5 0.5 2 0.45 0.45 2\n",
        },
        ("data.yaml", "data.yaml", "train.txt", "labels/train/a.txt", "labels/val/b.txt"),
    )


def darknet(folder: Path) -> Folder:
    """Return an obj.data with its lists."""
    image = _image(folder)
    return Folder(
        {
            "obj.data": b"classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n",
            "train.txt": b"data/obj_train_data/a.png\n",
            "obj.names": b"liver\nkidney\n",
            "obj_train_data/a.png": image,
            "obj_train_data/a.txt": b"0 0.5 0.5 0.2 0.3\n",
        },
        ("obj.data", "train.txt", "obj.names", "obj_train_data/a.txt"),
    )


def voc(folder: Path) -> Folder:
    """Return an XML file with an upright and a turned box, and a list of a split."""
    size = f"<size><width>{SIDE}</width><height>{SIDE}</height><depth>3</depth></size>"
    box = "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>12</xmax><ymax>20</ymax></bndbox>"
    turned = "<robndbox><cx>9</cx><cy>9</cy><w>4</w><h>6</h><angle>0.5</angle></robndbox>"
    objects = "".join(
        f"<object><name>liver</name><difficult>0</difficult>{own}</object>" for own in (box, turned)
    )
    xml = f"<annotation><folder>x</folder><filename>a.png</filename>{size}{objects}</annotation>"
    files = {
        "Annotations/a.xml": xml.encode(),
        "JPEGImages/a.png": _image(folder),
        "ImageSets/Main/train.txt": b"a\n",
    }
    return Folder(files, ("Annotations/a.xml", "Annotations/a.xml", "ImageSets/Main/train.txt"))


def cvat(folder: Path) -> Folder:
    """Return an annotations.xml with each shape."""
    shapes = (
        '<box label="liver" xtl="2.0" ytl="3.0" xbr="12.0" ybr="15.0" rotation="10" z_order="0">'
        '<attribute name="crowd">false</attribute></box>'
        '<polygon label="liver" points="2.0,3.0;9.0,4.0;7.0,12.0"/>'
        '<ellipse label="liver" cx="9" cy="9" rx="4" ry="3"/>'
        '<mask label="liver" left="2" top="3" width="4" height="4" rle="2, 4, 6, 4"/>'
    )
    xml = (
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task><labels>'
        "<label><name>liver</name></label></labels></task></meta>"
        f'<image id="0" name="a.png" subset="train" width="{SIDE}" height="{SIDE}">{shapes}</image>'
        "</annotations>"
    )
    return Folder({"annotations.xml": xml.encode(), "images/a.png": _image(folder)}, ("annotations.xml",))


def label_studio(folder: Path) -> Folder:
    """Return tasks with a rectangle, an ellipse, a polygon and a brush."""
    shapes = (
        ("rectanglelabels", {"x": 10, "y": 10, "width": 30, "height": 40, "rotation": 5}),
        ("ellipselabels", {"x": 50, "y": 50, "radiusX": 10, "radiusY": 5, "rotation": 0}),
        ("polygonlabels", {"points": [[10, 10], [40, 12], [20, 50]]}),
        ("brushlabels", {"format": "rle", "rle": [0, 0, 16, 0, 27, 71, 159, 255, 128]}),
    )
    results = [
        {
            "id": str(number),
            "type": kind,
            "original_width": SIDE,
            "original_height": SIDE,
            "image_rotation": 0,
            "value": {**value, kind: ["liver"]},
        }
        for number, (kind, value) in enumerate(shapes)
    ]
    tasks = [
        {"id": number, "data": {"image": f"/data/upload/1/{name}.png"}, "annotations": [{"result": own}]}
        for number, (name, own) in enumerate((("a", results[:3]), ("b", results[3:])))
    ]
    view = b'<View><RectangleLabels><Label value="liver"/></RectangleLabels></View>'
    image = _image(folder)
    files = {
        "tasks.json": json_bytes(tasks),
        "label_config.xml": view,
        "images/a.png": image,
        "images/b.png": image,
    }
    return Folder(files, ("tasks.json", "tasks.json", "label_config.xml"))


def labelme(folder: Path) -> Folder:
    """Return a file with each shape."""
    shapes = [
        {"label": "liver", "shape_type": kind, "points": points, "group_id": None, "flags": {}}
        for kind, points in (
            ("polygon", [[2, 3], [12, 3], [12, 15]]),
            ("rectangle", [[2, 3], [12, 15]]),
            ("circle", [[9, 9], [12, 9]]),
        )
    ]
    document = {
        "version": "5.0",
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": SIDE,
        "imageWidth": SIDE,
        "shapes": shapes,
    }
    files = {"a.json": json_bytes(document), "a.png": _image(folder), "labels.txt": b"liver\n"}
    return Folder(files, ("a.json", "a.json", "labels.txt"))


def masks(folder: Path) -> Folder:
    """Return an image and its mask."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[4:10, 5:20] = 1
    return Folder({"images/a.png": _image(folder), "masks/a.png": png(mask, folder)}, ("masks/a.png",))


def nifti(folder: Path) -> Folder:
    """Return a volume, its labels, and nnU-Net's dataset.json."""
    import nibabel

    values = np.arange(16 * 16 * 4, dtype=np.int16).reshape(16, 16, 4)
    labels = np.zeros_like(values, dtype=np.uint8)
    labels[3:8, 4:9, 1:3] = 1
    made = []
    for array in (values, labels):
        path = folder / "seed.nii"
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
        made.append(path.read_bytes())
    document = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "numTraining": 1}
    files = {_CT: made[0], _LABELS: gzip.compress(made[1], mtime=0), "dataset.json": json_bytes(document)}
    return Folder(files, (_CT, _LABELS, "dataset.json", "dataset.json"))


def dicom_seg(folder: Path) -> Folder:
    """Return a series and a segmentation of a slice."""
    own = _series(folder)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[5:12, 6:20] = True
    frame = SegmentFrame(1, mask, _GRID.position(1), (reference(uid_of("1.2.3", 1)),))
    write_segmentation(folder / "seg.dcm", [frame], [segment(1, "liver")], _GRID)
    own["seg.dcm"] = (folder / "seg.dcm").read_bytes()
    return Folder(own, ("seg.dcm", "seg.dcm", "1.2.3-2.dcm"))


def rtstruct(folder: Path) -> Folder:
    """Return a series and a structure set with a contour."""
    own = _series(folder)
    corners = [(4, 4), (12, 4), (12, 14), (4, 14)]
    points = [_GRID.point(column, row, 1) for column, row in corners]
    write_structures(folder / "rs.dcm", [("liver", [contour(points, uid_of("1.2.3", 1))])])
    own["rs.dcm"] = (folder / "rs.dcm").read_bytes()
    return Folder(own, ("rs.dcm", "rs.dcm", "1.2.3-2.dcm"))


def dicom_csv(folder: Path) -> Folder:
    """Return a series and a table in the form of RSNA."""
    own = _series(folder)
    rows = "1.2.3-1,2.0,3.0,10.0,12.0,1\n1.2.3-2,,,,,0\n"
    own["boxes.csv"] = f"patientId,x,y,width,height,Target\n{rows}".encode()
    return Folder(own, ("boxes.csv", "boxes.csv", "1.2.3-1.dcm"))


def vindr_csv(folder: Path) -> Folder:
    """Return a series and a table in the form of VinDr-CXR."""
    own = _series(folder)
    rows = "1.2.3-1,nodule,3,R8,2.0,3.0,10.0,12.0\n1.2.3-2,No finding,14,R9,,,,\n"
    header = "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
    own["boxes.csv"] = (header + rows).encode()
    return Folder(own, ("boxes.csv",))


_GRID = Grid(size=(SIDE, SIDE))


def _series(folder: Path) -> dict[str, bytes]:
    write_series(folder / "series", 3, _GRID)
    return {path.name: path.read_bytes() for path in sorted((folder / "series").iterdir())}


def dataset(folder: Path) -> Folder:
    """Return a dataset yaml with its tables and a source."""
    annotations = json.loads(coco(folder).files["annotations.json"])
    annotations["info"] |= {"modality": "CT", "licence": "CC0"}
    for image in annotations["images"]:
        image["split"] = "train"
    yaml = (
        b"name: x\nroot: .\nsources:\n  - {path: s, name: S, modality: CT}\nclasses:\n  liver: hepar/foie\n"
        b"presence: presence.csv\nkinds: kinds.csv\nnovel: [spleen]\n"
    )
    return Folder(
        {
            "data.yaml": yaml,
            "presence.csv": b"dataset,liver,spleen\nS,1,1\n",
            "kinds.csv": b"source,kind\nS,abdominal CT\n",
            "map.yaml": b"rename: {liver: hepar}\ndrop: [spleen]\nsynonyms: {hepar: foie}\n",
            "s/annotations.json": json_bytes(annotations),
        },
        ("data.yaml", "data.yaml", "presence.csv", "kinds.csv", "map.yaml", "s/annotations.json"),
    )
